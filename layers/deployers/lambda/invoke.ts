import { Readable } from 'node:stream'
import { InvokeWithResponseStreamCommand, type InvokeWithResponseStreamResponseEvent } from '@aws-sdk/client-lambda'
import * as z from 'zod'
import { awsFailure } from '../../aws/failure.ts'
import { PlatformError } from '../../core/contract/errors.ts'
import { type PlatformCall, UsageHeader, usageHeader } from '../../core/contract/model-function.ts'
import type { DeployTarget, InferenceReply, InferenceRequest, InferenceUsage } from '../../core/ports/deployer.ts'
import { functionName, LIVE } from './names.ts'
import type { LambdaParts } from './parts.ts'

/** Lambda's limit for one request, as JSON with the body in base64: about 4.4 MB of body. */
const mostPayload_bytes = 6 * 2 ** 20
const mostBody_bytes = Math.floor(((mostPayload_bytes - 64 * 1024) * 3) / 4)
const mostPrelude_bytes = 64 * 1024
const preludeEnd = Buffer.alloc(8)
const Prelude = z.object({
  statusCode: z.number().int().min(100).max(599),
  headers: z.record(z.string(), z.string()).default({}),
})
const noUsage: InferenceUsage = { compute_us: 0, cpu_us: 0, cold: false, init_us: 0, memory_bytes: 0, batch_size: 1 }

/**
 * One call through the platform's path: the function gets it as its address would give it, marked as verified. Answers stream. Fails with
 * `payload_too_large` naming the direct endpoint, `overloaded` when the function is at its limit, `deployment_unavailable` when it is
 * not there, `model_crashed` or `timeout` when it fails.
 */
export const invokeFunction = async (
  parts: LambdaParts,
  target: DeployTarget,
  request: InferenceRequest,
): Promise<InferenceReply> => {
  const { deployment } = target
  const body = await collected(request.body, deployment.endpoint)
  const command = new InvokeWithResponseStreamCommand({
    FunctionName: functionName(parts.stage, deployment.id),
    Qualifier: LIVE,
    Payload: new TextEncoder().encode(JSON.stringify(callOf(request, body))),
  })
  const options = request.signal === undefined ? {} : { abortSignal: request.signal }
  const { EventStream } = await parts
    .invoker()
    .send(command, options)
    .catch((error: unknown) => Promise.reject(invokeFailure(error, deployment.id)))
  if (EventStream === undefined) throw new PlatformError('model_crashed', 'The function answered nothing')
  return replyFrom(piecesOf(EventStream))
}

const collected = async (body: Uint8Array | Readable, endpoint: string | null): Promise<Uint8Array> => {
  if (body instanceof Uint8Array && body.byteLength <= mostBody_bytes) return body
  const pieces: Uint8Array[] = []
  let size_bytes = 0
  for await (const piece of body instanceof Uint8Array ? [body] : body) {
    size_bytes += piece.byteLength
    if (size_bytes > mostBody_bytes) throw tooLarge(endpoint)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

const tooLarge = (endpoint: string | null): PlatformError =>
  new PlatformError(
    'payload_too_large',
    `A request through this path may have ${mostBody_bytes} bytes; the deployment's own endpoint takes up to ${mostPayload_bytes}: ${endpoint ?? 'not up yet'}`,
    { facts: { max_bytes: mostBody_bytes, endpoint } },
  )

const callOf = (request: InferenceRequest, body: Uint8Array): PlatformCall => {
  const [path = '/', query = ''] = request.path.split('?', 2)
  const rawPath = path === '' ? '/' : path
  return {
    platform: true,
    version: '2.0',
    rawPath,
    rawQueryString: query,
    headers: request.headers,
    requestContext: { requestId: request.request_id, http: { method: request.method, path: rawPath } },
    ...(body.byteLength === 0 ? {} : { body: Buffer.from(body).toString('base64') }),
    isBase64Encoded: body.byteLength > 0,
  }
}

const invokeFailure = (error: unknown, deployment_id: string): PlatformError =>
  awsFailure(error, `Calling deployment ${deployment_id}`, {
    ResourceNotFoundException: ['deployment_unavailable', `Deployment ${deployment_id} has no function`],
    TooManyRequestsException: ['overloaded', `Deployment ${deployment_id} is at its limit`, { retry_after_s: 1 }],
    RequestTooLargeException: ['payload_too_large', 'The request is larger than a function takes'],
    RequestEntityTooLargeException: ['payload_too_large', 'The request is larger than a function takes'],
    AbortError: ['timeout', 'The caller left'],
  })

/** What the function sends, piece by piece; fails when it ends badly. */
async function* piecesOf(events: AsyncIterable<InvokeWithResponseStreamResponseEvent>): AsyncGenerator<Uint8Array> {
  for await (const { PayloadChunk, InvokeComplete } of events) {
    if (PayloadChunk?.Payload) yield PayloadChunk.Payload
    if (InvokeComplete?.ErrorCode === undefined) continue
    const said = `${InvokeComplete.ErrorCode}: ${(InvokeComplete.ErrorDetails ?? '').slice(0, 300)}`
    const late = /timed? ?out/i.test(said)
    throw new PlatformError(late ? 'timeout' : 'model_crashed', `The function failed (${said})`, { retry_after_s: 1 })
  }
}

/** Status and headers stand before eight zero bytes, the body after them. */
const replyFrom = async (pieces: AsyncGenerator<Uint8Array>): Promise<InferenceReply> => {
  let head = Buffer.alloc(0)
  for (let end = -1; end < 0; end = head.indexOf(preludeEnd)) {
    const { value, done } = await pieces.next()
    if (done || head.length > mostPrelude_bytes) throw new PlatformError('model_crashed', 'The function answered no status')
    head = Buffer.concat([head, value])
  }
  const end = head.indexOf(preludeEnd)
  const { statusCode, headers } = Prelude.parse(JSON.parse(head.subarray(0, end).toString()))
  const named = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const { [usageHeader]: usage, ...shown } = named
  const first = head.subarray(end + preludeEnd.length)
  return {
    status: statusCode,
    headers: shown,
    body: Readable.from(rest(first, pieces), { objectMode: false }),
    usage: usageIn(usage),
  }
}

async function* rest(first: Uint8Array, pieces: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.byteLength > 0) yield first
  yield* pieces
}

const usageIn = (text: string | undefined): InferenceUsage => {
  if (text === undefined) return noUsage
  try {
    return UsageHeader.safeParse(JSON.parse(text)).data ?? noUsage
  } catch {
    return noUsage
  }
}
