/**
 * A strict HTTP/1.1 request reader (RFC 9112) for one connection: no regular expressions over bodies, no events, about a tenth of
 * node:http's cost per request, which for a small model is most of the cost. Whatever two readers could understand differently is
 * refused with 400 and the connection closed: two lengths, a length beside chunked, bare line feeds, folded lines, spaces before a colon.
 */
export interface HttpRequest {
  method: string
  /** Path without query, as it came. */
  path: string
  /** Lower-case names; a repeated name is joined by ", " (a second content-length or host is refused). */
  headers: Record<string, string>
  body: Buffer[]
  keep_alive: boolean
}

export class HttpFault extends Error {
  readonly status: number
  constructor(status: number, detail: string) {
    super(detail)
    this.name = 'HttpFault'
    this.status = status
  }
}

export interface HttpLimits {
  header_bytes: number
  body_bytes: number
}

interface Head {
  request: HttpRequest
  /** Body bytes to come; undefined when chunked. */
  length: number | undefined
  expects_continue: boolean
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const target = /^\/[\x21-\x7e]*$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is being refused
const badValue = /[\x00-\x08\x0a-\x1f\x7f]/
const once = new Set([
  'content-length',
  'host',
  'transfer-encoding',
  'inference-header-content-length',
  'content-type',
  'authorization',
])

const readHeaders = (lines: readonly string[]): Record<string, string> => {
  const headers: Record<string, string> = Object.create(null)
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!
    const colon = line.indexOf(':')
    const name = colon > 0 ? line.slice(0, colon) : ''
    if (!token.test(name)) throw new HttpFault(400, 'a header line is not "name: value"')
    const value = line.slice(colon + 1).trim()
    if (badValue.test(value)) throw new HttpFault(400, `header ${name} holds a control character`)
    const key = name.toLowerCase()
    if (headers[key] === undefined) headers[key] = value
    else if (once.has(key)) throw new HttpFault(400, `header ${key} may come once`)
    else headers[key] = `${headers[key]}, ${value}`
  }
  return headers
}

const bodyLength = (headers: Record<string, string>, limits: HttpLimits): number | undefined => {
  const coding = headers['transfer-encoding']
  const length = headers['content-length']
  if (coding !== undefined) {
    if (coding.toLowerCase() !== 'chunked') throw new HttpFault(501, `transfer-encoding: wanted chunked, got ${coding}`)
    if (length !== undefined) throw new HttpFault(400, 'content-length and transfer-encoding came together')
    return undefined
  }
  if (length === undefined) return 0
  if (!/^\d{1,15}$/.test(length)) throw new HttpFault(400, `content-length: wanted a whole number, got ${length}`)
  const bytes = Number(length)
  if (bytes > limits.body_bytes) throw new HttpFault(413, `wanted a body of at most ${limits.body_bytes} bytes, got ${bytes}`)
  return bytes
}

const readHead = (text: string, limits: HttpLimits): Head => {
  const lines = text.split('\r\n')
  const [method = '', uri = '', version = '', ...surplus] = (lines[0] ?? '').split(' ')
  if (
    !token.test(method) ||
    surplus.length > 0 ||
    text.includes('\n\n') ||
    lines.some((line) => line.includes('\n') || line.includes('\r'))
  )
    throw new HttpFault(400, 'the request line or a header line is malformed')
  if (version !== 'HTTP/1.1' && version !== 'HTTP/1.0') throw new HttpFault(505, `wanted HTTP/1.1, got ${version.slice(0, 20)}`)
  if (!target.test(uri)) throw new HttpFault(400, 'the request target is not a path')
  const headers = readHeaders(lines)
  if (version === 'HTTP/1.1' && headers.host === undefined) throw new HttpFault(400, 'the host header is missing')
  const query = uri.indexOf('?')
  const connection = headers.connection?.toLowerCase()
  return {
    request: {
      method,
      path: query === -1 ? uri : uri.slice(0, query),
      headers,
      body: [],
      keep_alive: version === 'HTTP/1.1' ? connection !== 'close' : connection === 'keep-alive',
    },
    length: bodyLength(headers, limits),
    expects_continue: headers.expect?.toLowerCase() === '100-continue',
  }
}

export interface HttpReader {
  /** Takes what the connection brought; calls `receive` for every complete request. Throws HttpFault, after which the connection is useless. */
  push(chunk: Buffer): void
  /** Bytes of an unfinished request are held. */
  readonly midway: boolean
}

const headEnd = Buffer.from('\r\n\r\n')

export const httpReader = (limits: HttpLimits, receive: (request: HttpRequest) => void, sendContinue: () => void): HttpReader => {
  let held: Buffer | undefined
  let last: { text: string; head: Head } | undefined
  let head: Head | undefined
  let left = 0
  let body_bytes = 0
  let chunk = { left: 0, closing: false, last: false }

  const complete = (): void => {
    const { request } = head!
    head = undefined
    receive(request)
  }

  /** Consumes a head from `at`; answers the position behind it, or -1 when it is not all there. */
  const takeHead = (bytes: Buffer, at: number): number => {
    const end = bytes.indexOf(headEnd, at)
    const size_bytes = (end === -1 ? bytes.length : end) - at
    if (size_bytes > limits.header_bytes) throw new HttpFault(431, `wanted at most ${limits.header_bytes} bytes of headers`)
    if (end === -1) return -1
    const text = bytes.toString('latin1', at, end)
    // A client repeats its head word for word on a connection it keeps; parsing it once is half of what reading costs.
    if (last?.text !== text) last = { text, head: readHead(text, limits) }
    head = { ...last.head, request: { ...last.head.request, body: [] } }
    left = head.length ?? -1
    body_bytes = 0
    chunk = { left: 0, closing: false, last: false }
    if (head.expects_continue && left !== 0) sendContinue()
    return end + 4
  }

  const takeLength = (bytes: Buffer, at: number): number => {
    const end = Math.min(bytes.length, at + left)
    if (end > at) head!.request.body.push(bytes.subarray(at, end))
    left -= end - at
    if (left === 0) complete()
    return end
  }

  /** Advances through a chunked body: size line, data, line end. -1 when a line is not all there. Extensions and trailers are refused. */
  const takeChunked = (bytes: Buffer, at: number): number => {
    if (chunk.left > 0) {
      const end = Math.min(bytes.length, at + chunk.left)
      head!.request.body.push(bytes.subarray(at, end))
      chunk.left -= end - at
      if (chunk.left === 0) chunk.closing = true
      return end
    }
    const line_end = bytes.indexOf('\r\n', at, 'latin1')
    if (line_end === -1 && bytes.length - at > 16) throw new HttpFault(400, 'a chunk line is malformed')
    if (line_end === -1) return -1
    const line = bytes.toString('latin1', at, line_end)
    if (chunk.closing || chunk.last) {
      if (line !== '') throw new HttpFault(400, 'a chunk does not end where it said, or a trailer follows')
      chunk.closing = false
      if (chunk.last) complete()
      return line_end + 2
    }
    if (!/^[0-9A-Fa-f]{1,8}$/.test(line)) throw new HttpFault(400, 'a chunk size line is malformed (extensions are not taken)')
    chunk.left = Number.parseInt(line, 16)
    chunk.last = chunk.left === 0
    body_bytes += chunk.left
    if (body_bytes > limits.body_bytes) throw new HttpFault(413, `wanted a body of at most ${limits.body_bytes} bytes`)
    return line_end + 2
  }

  return {
    push: (chunk) => {
      const bytes = held ? Buffer.concat([held, chunk]) : chunk
      held = undefined
      let at = 0
      while (at < bytes.length || (head && left === 0)) {
        const next = !head ? takeHead(bytes, at) : left >= 0 ? takeLength(bytes, at) : takeChunked(bytes, at)
        if (next === -1) break
        at = next
        if (head && left === 0) complete()
      }
      if (at < bytes.length) held = bytes.subarray(at)
    },
    get midway() {
      return held !== undefined || head !== undefined
    },
  }
}
