/** One part of a message as RFC 2045–2047 have it, decoded. */
export interface MimePart {
  headers: Map<string, string>
  type: string
  charset: string | undefined
  file_name: string | undefined
  /** Decoded bytes of a leaf. */
  bytes: Buffer
  text: string
  parts: MimePart[]
}

/** Reads a message as a mail program does; fails where it is not well-formed. */
export const readMime = (source: Buffer | string): MimePart => {
  const raw = typeof source === 'string' ? source : source.toString('latin1')
  const end = raw.indexOf('\r\n\r\n')
  if (end < 0) throw new Error('no blank line after the headers')
  const headers = readHeaders(raw.slice(0, end))
  const body = raw.slice(end + 4)
  const content_type = headers.get('content-type') ?? 'text/plain'
  const type = content_type.split(';')[0]?.trim().toLowerCase() ?? ''
  const boundary = parameter(content_type, 'boundary')
  const encoding = (headers.get('content-transfer-encoding') ?? '7bit').toLowerCase()
  const bytes = boundary === undefined ? decode(body, encoding) : Buffer.alloc(0)
  const charset = parameter(content_type, 'charset')?.toLowerCase()
  return {
    headers,
    type,
    charset,
    file_name: parameter(headers.get('content-disposition') ?? '', 'filename'),
    bytes,
    text: new TextDecoder(charset ?? 'utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
    parts: boundary === undefined ? [] : split(body, boundary).map((part) => readMime(part)),
  }
}

const readHeaders = (text: string): Map<string, string> => {
  const headers = new Map<string, string>()
  for (const line of text.replace(/\r\n[ \t]+/g, ' ').split('\r\n')) {
    const [, name, value] = /^([!-9;-~]+):[ \t]*(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) throw new Error(`not a header: ${line}`)
    headers.set(name.toLowerCase(), words(value))
  }
  return headers
}

/** Encoded words of RFC 2047; white space between two of them is none. */
const words = (value: string): string =>
  value
    .replace(/(\?=)\s+(=\?)/g, '$1$2')
    .replace(/=\?([^?]+)\?([BQ])\?([^?]*)\?=/gi, (_, charset: string, kind: string, text: string) => {
      const bytes = kind.toUpperCase() === 'B' ? Buffer.from(text, 'base64') : quoted(text.replaceAll('_', ' '))
      return new TextDecoder(charset).decode(bytes)
    })

const parameter = (value: string, name: string): string | undefined => {
  const [, quotedValue, plain] = new RegExp(`;\\s*${name}=(?:"([^"]*)"|([^;\\s]*))`, 'i').exec(value) ?? []
  return quotedValue ?? plain
}

const quoted = (text: string): Buffer =>
  Buffer.from(
    text.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )

const decode = (body: string, encoding: string): Buffer => {
  if (encoding === 'base64') return Buffer.from(body.replace(/\s/g, ''), 'base64')
  if (encoding === 'quoted-printable') return quoted(body)
  if (encoding === '7bit' || encoding === '8bit') return Buffer.from(body, 'latin1')
  throw new Error(`unknown encoding ${encoding}`)
}

const split = (body: string, boundary: string): string[] => {
  const parts = `\r\n${body}`.split(`\r\n--${boundary}`)
  if (!parts.at(-1)?.startsWith('--')) throw new Error('the last part has no closing boundary')
  return parts.slice(1, -1).map((part) => part.replace(/^[ \t]*\r\n/, ''))
}
