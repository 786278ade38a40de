import { PlatformError } from '../core/contract/errors.ts'

const segment = /^[A-Za-z0-9._-]{1,200}$/

/** The key itself when it is one; else `invalid_request`. Both implementations take and refuse the same keys. */
export const checkedArtifactKey = (key: string): string => {
  const segments = key.split('/')
  if (key.length > 512 || segments.some((part) => !segment.test(part) || part === '.' || part === '..'))
    throw new PlatformError(
      'invalid_request',
      `An artifact key is segments of 1 to 200 of A-Z a-z 0-9 . _ - joined by "/", at most 512 in all, got ${JSON.stringify(key.slice(0, 80))}`,
    )
  return key
}

/** A prefix is the beginning of a key, or empty. */
export const checkedPrefix = (prefix: string): string => {
  if (prefix !== '') checkedArtifactKey(prefix.endsWith('/') ? `${prefix}x` : prefix)
  return prefix
}

const mebibyte = 1024 * 1024

/** At most 10,000 parts (S3's limit), of at least 8 MiB, in whole MiB; the last one is what remains. */
export const partSize = (size_bytes: number): number => Math.max(8, Math.ceil(size_bytes / 10_000 / mebibyte)) * mebibyte

export const partCount = (size_bytes: number): number => Math.max(1, Math.ceil(size_bytes / partSize(size_bytes)))

/** Bytes of part `number`, counted from 1. */
export const bytesOfPart = (size_bytes: number, number: number): number =>
  Math.min(partSize(size_bytes), size_bytes - (number - 1) * partSize(size_bytes))

/** 5 TiB, S3's largest object. */
const largest_bytes = 5 * 1024 ** 4

export const checkedUploadSize = (size_bytes: number): number => {
  if (!Number.isSafeInteger(size_bytes) || size_bytes < 0 || size_bytes > largest_bytes)
    throw new PlatformError('invalid_request', `size_bytes is a whole number from 0 to ${largest_bytes}, got ${size_bytes}`)
  return size_bytes
}

export const upload_lifetime_ms = 24 * 3600 * 1000
