import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { APIGatewayProxyResult } from 'aws-lambda'
import type { RouteHandler } from '../../functions/entry/http.ts'
import { renderError } from '../../functions/entry/render-error.ts'
import type { StreamHandler, StreamReply } from '../../functions/entry/stream.ts'
import type { App } from '../../layers/core/ports/app.ts'
import { collect, proxyEvent } from './event.ts'
import { type Match, type Row, router } from './router.ts'

const json_body_max_bytes = 1_048_576
/** Inference bodies up to here are handed over whole; larger ones as a stream. */
const whole_body_max_bytes = 1_048_576

export type Handlers = ReadonlyMap<string, RouteHandler | StreamHandler>

/** The HTTP server of the embedded host: one listener, one try/catch, the route table as its only map. */
export const hostServer = (app: App, rows: readonly Row[], handlers: Handlers): Server => {
  const find = router(rows)
  const server = createServer(
    { maxHeaderSize: 16_384, requestTimeout: 0, headersTimeout: 20_000, keepAliveTimeout: 65_000 },
    (request, response) => {
      serve(request, response).catch((error: unknown) => {
        app.log.error('listener failed', { detail: error instanceof Error ? error.stack : String(error) })
        response.destroy()
      })
    },
  )
  server.on('clientError', refuse)

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.on('error', () => {})
    const request_id = app.newId('req')
    const url = request.url ?? '/'
    const mark = url.indexOf('?')
    const path = mark === -1 ? url : url.slice(0, mark)
    try {
      const match = find(request.method ?? 'GET', path)
      const arrival = {
        path,
        search: new URLSearchParams(mark === -1 ? '' : url.slice(mark)),
        headers: headersOf(request),
        source_ip: addressOf(request),
        request_id,
      }
      if (match.row.transfer === 'stream') await streamed(request, response, match, arrival)
      else await buffered(request, response, match, arrival)
    } catch (error) {
      const shown = renderError(error, surfaceOf(path), { request_id, public_url: app.config.public_url, path })
      app.log.info('request', { request_id, route: null, status: shown.status, ms: 0 })
      send(response, shown)
      drop(request)
    }
  }

  const buffered = async (request: IncomingMessage, response: ServerResponse, match: Match, arrival: Arrival): Promise<void> => {
    const body = await collect(request, json_body_max_bytes)
    const handler = handlers.get(match.row.id) as RouteHandler
    const result: APIGatewayProxyResult = await handler(proxyEvent(match.row.method, match, arrival, body), {})
    send(response, { status: result.statusCode, headers: (result.headers ?? {}) as Record<string, string>, body: result.body })
  }

  const streamed = async (request: IncomingMessage, response: ServerResponse, match: Match, arrival: Arrival): Promise<void> => {
    const handler = handlers.get(match.row.id) as StreamHandler
    const whole =
      match.row.role === 'endpoint' &&
      request.headers['transfer-encoding'] === undefined &&
      Number(request.headers['content-length'] ?? 0) <= whole_body_max_bytes
    const gone = new AbortController()
    response.once('close', () => {
      if (!response.writableFinished) gone.abort()
    })
    const { search, ...facts } = arrival
    const query = search.size === 0 ? {} : Object.fromEntries(search)
    const body = whole ? await collect(request, whole_body_max_bytes) : request
    const reply = await handler({ ...facts, method: match.row.method, params: match.params, query, body, signal: gone.signal })
    await respond(response, reply)
    drop(request)
  }
  return server
}

type Arrival = Parameters<typeof proxyEvent>[2]

const respond = async (response: ServerResponse, reply: StreamReply): Promise<void> => {
  if (!(reply.body instanceof Readable)) return send(response, { ...reply, body: reply.body })
  response.writeHead(reply.status, reply.headers)
  await pipeline(reply.body, response).catch(() => response.destroy())
}

const send = (
  response: ServerResponse,
  reply: { status: number; headers: Record<string, string>; body: string | Uint8Array },
): void => {
  if (response.headersSent || response.destroyed) return
  const length = typeof reply.body === 'string' ? Buffer.byteLength(reply.body) : reply.body.byteLength
  response.writeHead(reply.status, { ...reply.headers, 'content-length': length })
  response.end(reply.body)
}

/** What the client still sends is not read: after an early answer the connection closes once the answer is out. */
const drop = (request: IncomingMessage): void => {
  if (request.complete || request.destroyed) return
  request.resume()
  setTimeout(() => request.destroy(), 1000).unref()
}

const surfaceOf = (path: string): Row['surface'] =>
  /^\/deployments\/[^/]+\/inference(\/|$)/.test(path) ? 'open-inference' : 'platform'

const addressOf = (request: IncomingMessage): string => request.socket.remoteAddress ?? '127.0.0.1'

const headersOf = (request: IncomingMessage): Record<string, string> => {
  const headers: Record<string, string> = {}
  for (const name in request.headers) {
    const value = request.headers[name]
    if (value !== undefined) headers[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return headers
}

/** What never became a request: bad syntax, headers over the limit. */
const refuse = (error: NodeJS.ErrnoException, socket: import('node:stream').Duplex): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const [status, title, code] =
    error.code === 'HPE_HEADER_OVERFLOW' ? [431, 'Headers too large', 'header_too_large'] : [400, 'Bad request', 'bad_request']
  const body = JSON.stringify({
    type: 'about:blank',
    title,
    status,
    detail: status === 431 ? 'The headers exceed 16 KiB' : 'This is not an HTTP/1.1 request',
    code,
  })
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}
