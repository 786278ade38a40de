import { isUtf8 } from 'node:buffer'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { APIGatewayProxyResult } from 'aws-lambda'
import type { RouteHandler } from '../../functions/entry/http.ts'
import { renderError } from '../../functions/entry/render-error.ts'
import type { StreamHandler, StreamReply } from '../../functions/entry/stream.ts'
import { PlatformError } from '../../layers/core/contract/errors.ts'
import type { App } from '../../layers/core/ports/app.ts'
import { connections } from './connections.ts'
import { collect, proxyEvent } from './event.ts'
import { idleBodies } from './idle-bodies.ts'
import { refuse } from './refuse.ts'
import { type Match, type Row, router } from './router.ts'

const json_body_max_bytes = 1_048_576
/** Inference bodies up to here are handed over whole; larger ones as a stream. */
const whole_body_max_bytes = 1_048_576
/** As text, an answer leaves with its head in one copy; as bytes it would take a gathering write. */
const joined_answer_bytes = 8192
const noSearch = new URLSearchParams()

export type Handlers = ReadonlyMap<string, RouteHandler | StreamHandler>

/** How long headers may take in all, and a body between two bytes. */
export const patience = { headers_ms: 20_000, idle_body_ms: 60_000 }

/**
 * The HTTP server of the embedded host: one listener, one try/catch, the route table as its only map. Requests wait until `opened`:
 * the host listens before it has repaired what a crash left, so that a port that is taken is known before anything is changed.
 */
export const hostServer = (
  app: Pick<App, 'log' | 'newId' | 'config'>,
  rows: readonly Row[],
  handlers: Handlers,
  opened: Promise<void> = Promise.resolve(),
  { headers_ms, idle_body_ms } = patience,
): Server => {
  const find = router(rows)
  const known = connections()
  const bodies = idleBodies(idle_body_ms)
  let is_open = false
  const server = createServer(
    {
      maxHeaderSize: 16_384,
      requestTimeout: 0,
      headersTimeout: headers_ms,
      connectionsCheckingInterval: Math.min(headers_ms, 10_000),
      keepAliveTimeout: 65_000,
    },
    (request, response) => {
      serve(request, response, known.note(request.socket, response)).catch((error: unknown) => {
        app.log.error('listener failed', { detail: error instanceof Error ? error.stack : String(error) })
        response.destroy()
      })
    },
  )
  server.on('clientError', refuse(app, known.isAnswering))
  server.once('close', bodies.stop)

  const serve = async (request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> => {
    response.on('error', () => {})
    if (!is_open) {
      await opened
      is_open = true
    }
    const request_id = app.newId('req')
    const url = originForm(request.url ?? '/')
    const mark = url.indexOf('?')
    const path = mark === -1 ? url : url.slice(0, mark)
    try {
      const match = find(request.method ?? 'GET', path)
      const arrival = {
        path,
        search: mark === -1 ? noSearch : new URLSearchParams(url.slice(mark)),
        headers: headersOf(request),
        source_ip: addressOf(request),
        request_id,
      }
      if (match.row.transfer === 'stream') await streamed(request, response, match, arrival, signal)
      else await buffered(request, response, match, arrival)
    } catch (error) {
      const shown = renderError(error, surfaceOf(path), { request_id, public_url: app.config.public_url, path })
      app.log.info('request', { request_id, route: null, status: shown.status, ms: 0 })
      send(response, shown)
      drop(request)
    }
  }

  const buffered = async (request: IncomingMessage, response: ServerResponse, match: Match, arrival: Arrival): Promise<void> => {
    const body = await collected(request, json_body_max_bytes)
    if (!isUtf8(body)) throw new PlatformError('malformed_body', 'The body is not UTF-8')
    const handler = handlers.get(match.row.id) as RouteHandler
    const result: APIGatewayProxyResult = await handler(proxyEvent(match.row.method, match, arrival, body), {})
    send(response, { status: result.statusCode, headers: (result.headers ?? {}) as Record<string, string>, body: result.body })
  }

  const streamed = async (
    request: IncomingMessage,
    response: ServerResponse,
    match: Match,
    arrival: Arrival,
    signal: AbortSignal,
  ): Promise<void> => {
    const handler = handlers.get(match.row.id) as StreamHandler
    const whole =
      match.row.role === 'endpoint' &&
      request.headers['transfer-encoding'] === undefined &&
      Number(request.headers['content-length'] ?? 0) <= whole_body_max_bytes
    const { search, ...facts } = arrival
    const query = search.size === 0 ? {} : Object.fromEntries(search)
    const body = whole ? await collected(request, whole_body_max_bytes) : watched(request)
    const reply = await handler({ ...facts, method: match.row.method, params: match.params, query, body, signal })
    await respond(response, reply)
    drop(request)
  }
  const watched = (request: IncomingMessage): IncomingMessage => {
    bodies.watch(request)
    return request
  }
  const collected = (request: IncomingMessage, max_bytes: number): Promise<Buffer> => collect(request, max_bytes, bodies.watch)
  return server
}

/** A request target may be a whole URL (RFC 9112 §3.2.2); what stands before its path says nothing here. */
const originForm = (target: string): string =>
  target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?#]*/i, '') || '/'

type Arrival = Parameters<typeof proxyEvent>[2]

const respond = async (response: ServerResponse, reply: StreamReply): Promise<void> => {
  if (!(reply.body instanceof Readable)) return send(response, { ...reply, body: reply.body })
  response.writeHead(reply.status, { ...reply.headers, ...closing(response) })
  await pipeline(reply.body, response).catch(() => response.destroy())
}

const send = (
  response: ServerResponse,
  reply: { status: number; headers: Record<string, string>; body: string | Uint8Array },
): void => {
  if (response.headersSent || response.destroyed) return
  const length = typeof reply.body === 'string' ? Buffer.byteLength(reply.body) : reply.body.byteLength
  response.writeHead(reply.status, { ...reply.headers, ...closing(response), 'content-length': length })
  if (length <= joined_answer_bytes && typeof reply.body !== 'string') response.end(latin1(reply.body), 'latin1')
  else response.end(reply.body)
}

const latin1 = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('latin1')

/** An answer that comes before its request has ended is the connection's last one; the client is told. */
const closing = ({ req }: ServerResponse): Record<string, string> =>
  !req.complete && expectsBody(req) ? { connection: 'close' } : {}

const expectsBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

/** What the client still sends is not read: after an early answer the connection closes once the answer is out. */
const drop = (request: IncomingMessage): void => {
  if (request.complete || request.destroyed || !expectsBody(request)) return
  request.resume()
  setTimeout(() => request.destroy(), 1000).unref()
}

const surfaceOf = (path: string): Row['surface'] =>
  /^\/deployments\/[^/]+\/inference(\/|$)/.test(path) ? 'open-inference' : 'platform'

const addressOf = (request: IncomingMessage): string => request.socket.remoteAddress ?? '127.0.0.1'

/** As Node read them: repeated ones are joined already, except `set-cookie`, which no request should carry. */
const headersOf = (request: IncomingMessage): Record<string, string> => {
  if (request.headers['set-cookie'] === undefined) return request.headers as Record<string, string>
  const headers: Record<string, string> = {}
  for (const name in request.headers) {
    const value = request.headers[name]
    if (value !== undefined) headers[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return headers
}
