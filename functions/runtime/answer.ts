import type * as z from 'zod'
import { asPlatformError } from '../../layers/core/contract/errors.ts'
import { type UsageHeader, usageHeader } from '../../layers/core/contract/model-function.ts'
import { ServingFault } from '../../layers/serving/fault.ts'
import { renderError } from '../entry/render-error.ts'
import { admit } from './admit.ts'
import type { ModelRequest } from './call.ts'
import { environment } from './environment.ts'
import { loadedWithin } from './model.ts'
import { runModel } from './run-model.ts'

export interface Answer {
  status: number
  headers: Record<string, string>
  body: readonly Uint8Array[]
  usage: z.infer<typeof UsageHeader>
  /** False for health checks, and for callers who were not let in. */
  counts: boolean
  /** Present when it failed. */
  code?: string
}

/** Lambda streams at most this much through a function URL. */
const most_reply_bytes = 200_000_000
/** Kept of the function's time for the answer itself, the usage row and the log. */
const reserve_ms = 400

let started_for_caller = environment.AWS_LAMBDA_INITIALIZATION_TYPE === 'on-demand'

const noUsage = { compute_us: 0, cpu_us: 0, cold: false, init_us: 0, memory_bytes: 0, batch_size: 0 }
const health = /^\/v2\/(health\/(live|ready)|models\/[^/]+(\/versions\/[^/]+)?\/ready)$/

/** Answers a request; never throws. `remaining_ms` is what Lambda gives it. */
export const answerRequest = async (request: ModelRequest, remaining_ms: number): Promise<Answer> => {
  const isHealth = request.method === 'GET' && health.test(request.path)
  let admitted = false
  try {
    const deadline_ms = performance.now() + Math.min(environment.AIDEPLOY_TIMEOUT_S * 1000, remaining_ms - reserve_ms)
    await admit(request)
    admitted = true
    return { ...(await served(request, deadline_ms, isHealth)), counts: !isHealth }
  } catch (error) {
    return { ...failure(error, request), counts: admitted && !isHealth }
  }
}

const served = async (request: ModelRequest, deadline_ms: number, isHealth: boolean): Promise<Omit<Answer, 'counts'>> => {
  if (isHealth && request.path === '/v2/health/live') return json(200, { live: true }, request)
  const model = await loadedWithin(deadline_ms - performance.now()).catch((error: unknown) => {
    if (isHealth) return undefined
    throw error
  })
  if (model === undefined) return json(400, { ready: false }, request)
  const cold = started_for_caller && !isHealth
  if (cold) started_for_caller = false
  const { reply, memory_bytes } = await runModel(model, request, environment.AIDEPLOY_DEPLOYMENT, deadline_ms)
  const usage = { ...reply.usage, memory_bytes, cold, init_us: cold ? model.ready_us : 0 }
  const size_bytes = reply.body.reduce((sum, piece) => sum + piece.length, 0)
  if (size_bytes > most_reply_bytes) throw tooLarge(size_bytes)
  return { status: reply.status, headers: headersOf(reply.headers, request, usage), body: reply.body, usage }
}

const tooLarge = (size_bytes: number): ServingFault =>
  new ServingFault(
    413,
    'payload_too_large',
    `The answer has ${size_bytes} bytes; an endpoint of this type streams at most ${most_reply_bytes}: ask for fewer rows or outputs in one call`,
  )

const headersOf = (
  headers: Record<string, string>,
  { request_id, from_platform }: ModelRequest,
  usage: Answer['usage'],
): Record<string, string> => ({
  ...headers,
  'x-request-id': request_id,
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  ...(from_platform && { [usageHeader]: JSON.stringify(usage) }),
})

const json = (status: number, body: object, request: ModelRequest, code?: string): Omit<Answer, 'counts'> => ({
  status,
  headers: headersOf({ 'content-type': 'application/json' }, request, noUsage),
  body: [Buffer.from(JSON.stringify(body))],
  usage: noUsage,
  ...(code !== undefined && { code }),
})

const failure = (error: unknown, request: ModelRequest): Omit<Answer, 'counts'> => {
  if (error instanceof ServingFault) return json(error.status, { error: error.message, code: error.code }, request, error.code)
  const { request_id, path } = request
  const shown = renderError(error, 'open-inference', { request_id, public_url: '', path })
  return {
    status: shown.status,
    headers: headersOf(shown.headers, request, noUsage),
    body: [Buffer.from(shown.body)],
    usage: noUsage,
    code: asPlatformError(error).code,
  }
}
