import { PlatformError } from '../core/contract/errors.ts'

/** What Secrets Manager takes; the same everywhere, so that nothing works on one machine only. */
const most_bytes = 65_536

/** The name is not repeated in the message: it may be a value given in the wrong place. */
export const checkedName = (name: string): string => {
  if (name.length <= 256 && /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/.test(name)) return name
  throw new PlatformError(
    'invalid_request',
    'A secret name wants up to 256 characters of A-Z a-z 0-9 . _ - in segments parted by /',
  )
}

export const checkedValue = (value: string): string => {
  const size_bytes = Buffer.byteLength(value)
  if (size_bytes > 0 && size_bytes <= most_bytes) return value
  throw new PlatformError('invalid_request', `A secret wants 1 to ${most_bytes} bytes of UTF-8, got ${size_bytes}`)
}
