import type { Readable } from 'node:stream'
import { app } from '#app'
import { PlatformError } from '../../layers/core/contract/errors.ts'
import type { RouteRow } from '../../layers/core/contract/route-row.ts'
import { type Params, type QueryOf, type RouteId, routes } from '../../layers/core/contract/routes.ts'
import { JsonObject } from '../../layers/core/domain/json.ts'
import type { Principal } from '../../layers/core/domain/principal.ts'
import { access } from './access.ts'
import { idempotent } from './idempotency.ts'
import { renderError } from './render-error.ts'
import { logRequest } from './request-log.ts'
import { validate } from './validate.ts'

/** A call as its host received it; header names are lower case. */
export interface RawCall {
  method: string
  path: string
  params: Record<string, string>
  query: Record<string, string>
  headers: Record<string, string>
  /** Small bodies of inference calls arrive whole, everything else as a stream. */
  body: Uint8Array | Readable
  source_ip: string
  request_id: string
  /** Aborts when the client goes away. */
  signal: AbortSignal
}

export interface StreamRequest<Id extends RouteId> extends Omit<RawCall, 'params' | 'query' | 'body'> {
  params: Params<Id>
  query: QueryOf<Id>
  /** Undefined only where the row asks for no sign-in. */
  principal: (typeof routes)[Id]['role'] extends 'endpoint' | 'signed_url' | 'anonymous' ? Principal | undefined : Principal
  body: (typeof routes)[Id]['role'] extends 'endpoint' ? Uint8Array | Readable : Readable
}

export interface StreamReply {
  status: number
  headers: Record<string, string>
  body: Uint8Array | string | Readable
}

/** In the log only: nobody was left to answer. */
const client_gone = 499

export type StreamHandler = ((call: RawCall) => Promise<StreamReply>) & { id: RouteId }

/** The handler of one `transfer: stream` route: the same proof, checks, log line and errors as `http.ts`, without an event. */
export const stream = <Id extends RouteId>(id: Id, run: (request: StreamRequest<Id>) => Promise<StreamReply>): StreamHandler => {
  const row: RouteRow = routes[id]
  const call = async (raw: RawCall): Promise<StreamReply> => {
    const started_ms = performance.now()
    const facts = { request_id: raw.request_id, route: id, organization_id: undefined as string | undefined }
    try {
      const principal = await access(app, row, raw.params, {
        authorization: raw.headers.authorization,
        api_key: raw.headers['x-api-key'],
        source_ip: raw.source_ip,
      })
      facts.organization_id = principal?.organization_id
      const reply = await onceOnly(row, raw, principal, () => run(requestOf(row, raw, principal) as StreamRequest<Id>))
      reply.headers['x-request-id'] = raw.request_id
      logRequest(app.log, { ...facts, status: reply.status, ms: performance.now() - started_ms })
      return reply
    } catch (error) {
      const shown = renderError(error, row.surface, {
        request_id: raw.request_id,
        public_url: app.config.public_url,
        path: raw.path,
      })
      const ms = performance.now() - started_ms
      if (raw.signal.aborted) logRequest(app.log, { ...facts, status: client_gone, ms })
      else logRequest(app.log, { ...facts, status: shown.status, ms, error })
      return shown
    }
  }
  return Object.assign(call, { id })
}

/**
 * Uploads honour `Idempotency-Key` as JSON routes do. Their body is not known before it is read, so its media type and length stand
 * for it: a repeat is answered without reading it again.
 */
const onceOnly = async (
  row: RouteRow,
  raw: RawCall,
  principal: Principal | undefined,
  run: () => Promise<StreamReply>,
): Promise<StreamReply> => {
  const key = raw.headers['idempotency-key']
  if (row.role === 'endpoint' || key === undefined || principal === undefined) return run()
  const type = raw.headers['content-type']?.split(';')[0] ?? ''
  const event = { httpMethod: raw.method, path: raw.path, body: `${type} ${raw.headers['content-length'] ?? ''}` }
  const kept = await idempotent(app, row, event, principal, key, async () => {
    const { status, headers, body } = await run()
    return { status, headers, body: JsonObject.parse(JSON.parse(String(body))) }
  })
  return { status: kept.status ?? row.status, headers: { ...kept.headers }, body: JSON.stringify(kept.body) }
}

/** Inference rows are the hot path: their parameters are strings already and are not validated twice. */
const requestOf = (row: RouteRow, raw: RawCall, principal: Principal | undefined): object => {
  if (row.role === 'endpoint') return { ...raw, principal }
  if (raw.body instanceof Uint8Array) throw new PlatformError('internal', 'The host gave a buffered body to a streaming route')
  return { ...raw, params: validate(row.params, raw.params, 'params'), query: validate(row.query, raw.query, 'query'), principal }
}

/** A JSON answer of a streaming route. */
export const jsonReply = (body: object, headers: Record<string, string> = {}): StreamReply => ({
  status: 200,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', ...headers },
  body: JSON.stringify(body),
})
