import type * as z from 'zod'
import type { Role } from '../domain/principal.ts'

/**
 * One row says everything about a route: API Gateway resource, grants, validation, local route, OpenAPI, SDK method.
 * Its code is `functions/<function>/<id>.ts`, where `id` is the row's key in the table.
 */
export interface RouteRow {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** `{name}` for one segment, `{name+}` as the last one for the rest. Variables at one level share a name. */
  path: string
  /** The Lambda it belongs to. */
  function: string
  surface: 'platform' | 'open-inference'
  /** `anonymous` needs nothing, `signed_url` proves itself by its query, `endpoint` by token unless the deployment says `endpoint_auth: none`. */
  role: Role | 'anonymous' | 'signed_url' | 'endpoint'
  /** What a key policy names, `<kind>:<verb>`. */
  action: string
  /** Capabilities, as `port:verb`; `lib/` turns them into grants. */
  needs: readonly string[]
  /** `stream` rows are called with the body as a stream, without an event. */
  transfer: 'json' | 'stream'
  status: number
  summary: string
  description?: string
  params?: z.ZodType
  query?: z.ZodType
  body?: z.ZodType
  /** Media types a stream row takes, for the reference. */
  accepts?: readonly string[]
  reply?: z.ZodType
  /** Media type of the reply where it is not JSON. */
  replies_with?: string
}

/** What a handler answers. `status` only where it differs from the row's. */
export interface Reply<Body> {
  body: Body
  status?: number
  headers?: Record<string, string>
}
