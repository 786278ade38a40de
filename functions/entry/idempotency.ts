import { createHash, createHmac } from 'node:crypto'
import type { APIGatewayProxyEvent } from 'aws-lambda'
import * as z from 'zod'
import { isPlatformError, PlatformError } from '../../layers/core/contract/errors.ts'
import type { Reply, RouteRow } from '../../layers/core/contract/route-row.ts'
import { JsonObject } from '../../layers/core/domain/json.ts'
import type { Principal } from '../../layers/core/domain/principal.ts'
import type { App } from '../../layers/core/ports/app.ts'
import type { Stored } from '../../layers/core/ports/records.ts'

type Parts = Pick<App, 'records' | 'now' | 'log'>

const day_s = 86_400
/** Longer than any JSON route, and nearly any upload, may run, so that a crashed first request does not block its key for a day. */
const in_progress_s = { json: 120, stream: 900 }

const Remembered = z.object({ fingerprint: z.string(), started_at: z.number(), reply: JsonObject.nullable() })

/**
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): the first request with a key runs, repeats get its answer for a day,
 * 409 while it runs, 422 when the same key comes with another payload. Failures are forgotten, so that they can be repeated.
 * Answers that hold a secret are not kept; their repeat is refused.
 */
export const idempotent = async (
  app: Parts,
  row: RouteRow,
  event: Pick<APIGatewayProxyEvent, 'httpMethod' | 'path' | 'body'>,
  principal: Principal | undefined,
  key: string | undefined,
  run: () => Promise<Reply<unknown>>,
): Promise<Reply<unknown>> => {
  if (key === undefined || principal === undefined || row.method === 'GET') return run()
  if (!/^[\x21-\x7e]{1,255}$/.test(key))
    throw new PlatformError('bad_request', 'Idempotency-Key wants 1 to 255 visible ASCII characters')
  const at = { pk: `org#${principal.organization_id}`, sk: `idempotency#${principal.id}#${digest(key)}` }
  // Keyed by the caller's own key, which is stored as a digest only: a plain digest of the body would let passwords be guessed offline.
  const fingerprint = createHmac('sha256', key)
    .update(`${event.httpMethod} ${event.path}\n${event.body ?? ''}`)
    .digest('base64url')
  const found = await app.records.get(at)
  const earlier = found && judge(found, fingerprint, app.now(), in_progress_s[row.transfer])
  if (earlier) return earlier
  const version = await claim(app, at, fingerprint, found)
  return settle(app, at, fingerprint, version, run)
}

/** The kept answer, or undefined when the key is free again. */
const judge = (found: Stored, fingerprint: string, now: Date, longest_s: number): Reply<unknown> | undefined => {
  const { started_at, reply, fingerprint: first } = Remembered.parse(found.body)
  if (first !== fingerprint) throw new PlatformError('idempotency_mismatch', 'This Idempotency-Key was used with another request')
  if (reply === null) {
    if (now.getTime() / 1000 - started_at < longest_s)
      throw new PlatformError('idempotency_conflict', 'The first request with this Idempotency-Key is still in progress', {
        retry_after_s: 2,
      })
    return undefined
  }
  if (reply.secret === true)
    throw new PlatformError('idempotency_conflict', 'This request was done before; its answer held a secret and is not kept')
  const kept = z
    .object({ body: z.json(), status: z.number().optional(), headers: z.record(z.string(), z.string()).optional() })
    .parse(reply)
  return { body: kept.body, status: kept.status, headers: { ...kept.headers, 'idempotency-replayed': 'true' } }
}

const claim = async (
  app: Parts,
  at: { pk: string; sk: string },
  fingerprint: string,
  found: Stored | undefined,
): Promise<string> => {
  const now_s = app.now().getTime() / 1000
  const body = { fingerprint, started_at: now_s, reply: null }
  try {
    const [version = ''] = await app.records.write([
      { put: { ...at, body, expires_at: Math.floor(now_s) + day_s }, expect: found ? { version: found.version } : 'absent' },
    ])
    return version
  } catch (cause) {
    if (!isPlatformError(cause, 'version_conflict')) throw cause
    throw new PlatformError('idempotency_conflict', 'The first request with this Idempotency-Key is still in progress', {
      retry_after_s: 2,
      cause,
    })
  }
}

const settle = async (
  app: Parts,
  at: { pk: string; sk: string },
  fingerprint: string,
  version: string,
  run: () => Promise<Reply<unknown>>,
): Promise<Reply<unknown>> => {
  const reply = await run().catch(async (error: unknown) => {
    await app.records.write([{ remove: at, expect: { version } }]).catch(notKept(app))
    throw error
  })
  const now_s = app.now().getTime() / 1000
  const kept = holdsSecret(reply.body) ? { secret: true } : JsonObject.parse(JSON.parse(JSON.stringify(reply)))
  const body = { fingerprint, started_at: now_s, reply: JSON.stringify(kept).length > 300_000 ? { secret: true } : kept }
  await app.records
    .write([{ put: { ...at, body, expires_at: Math.floor(now_s) + day_s }, expect: { version } }])
    .catch(notKept(app))
  return reply
}

/** Whatever becomes of the key, the request itself is over and its outcome is what the caller hears. */
const notKept =
  ({ log }: Parts) =>
  (error: unknown): void =>
    log.warn('idempotency outcome not kept', { detail: String(error) })

const holdsSecret = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && ('api_key' in body || 'token' in body)
const digest = (text: string): string => createHash('sha256').update(text).digest('base64url')
