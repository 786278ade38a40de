import { once } from 'node:events'
import type { Context } from 'aws-lambda'
import { type Answer, answerRequest } from './answer.ts'
import { type ModelRequest, readCall } from './call.ts'
import { environment } from './environment.ts'
import { logInvocation } from './metrics.ts'
import { endModel, loadedWithin } from './model.ts'
import { prepareCallers } from './parts.ts'
import { keepDueRequests, keepRequests } from './recorded.ts'
import { flushDueUsage, flushUsage, recordUsage } from './usage.ts'

/** Lambda ends an INIT after 10 s and begins anew; what is left of the load goes on in the first invocation. */
const init_ms = 8_500
const probe_reserve_ms = 1_000

/** The function of one deployment: serves its model by function URL and by direct invocation. */
export const handler = awslambda.streamifyResponse(
  async (event: unknown, stream: awslambda.HttpResponseStream, context: Context): Promise<void> => {
    const request = readCall(event)
    if (request === 'probe') await probe(stream, context)
    else await serve(request, stream, context)
  },
)

/** Fails, so that the invocation fails, with the reason why the model cannot be served. */
const probe = async (stream: awslambda.HttpResponseStream, context: Context): Promise<void> => {
  await loadedWithin(context.getRemainingTimeInMillis() - probe_reserve_ms)
  stream.setContentType('application/json')
  await send(stream, [Buffer.from(JSON.stringify({ ready: true, revision: environment.AIDEPLOY_REVISION }))])
}

const serve = async (request: ModelRequest, stream: awslambda.HttpResponseStream, context: Context): Promise<void> => {
  const started_ms = performance.now()
  const answer = await answerRequest(request, context.getRemainingTimeInMillis())
  const { status: statusCode, headers, body } = answer
  const cut = await send(awslambda.HttpResponseStream.from(stream, { statusCode, headers }), body).then(
    () => false,
    () => true,
  )
  await account(request, answer, performance.now() - started_ms, cut)
}

const account = async (request: ModelRequest, answer: Answer, latency_ms: number, cut: boolean): Promise<void> => {
  logInvocation(request, answer, latency_ms)
  if (answer.counts) recordUsage(request, answer, Math.round(latency_ms * 1000), cut)
  await flushDueUsage()
  await keepDueRequests()
}

/** Writes piece by piece, no faster than they are taken. Fails when the caller goes away. */
const send = async (stream: awslambda.HttpResponseStream, pieces: readonly Uint8Array[]): Promise<void> => {
  const closed = new AbortController()
  stream.once('error', () => closed.abort())
  // Status and headers leave with the first write only.
  if (pieces.length === 0) stream.write('')
  for (const piece of pieces) if (!stream.write(piece)) await once(stream, 'drain', { signal: closed.signal })
  stream.end()
  if (!stream.writableFinished) await once(stream, 'finish', { signal: closed.signal })
}

process.once('SIGTERM', () => {
  void Promise.all([flushUsage(), keepRequests().finally(endModel)]).finally(() => process.exit(0))
})

// What is too late goes on in the first invocation, which also tries again what failed.
const loading = loadedWithin(init_ms).catch(() => undefined)
if (environment.AIDEPLOY_ENDPOINT_AUTH === 'token') await prepareCallers().catch(() => undefined)
await loading
