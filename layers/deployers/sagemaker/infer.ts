import type { Readable } from 'node:stream'
import { InvokeEndpointCommand } from '@aws-sdk/client-sagemaker-runtime'
import { awsCode, awsFailure } from '../../aws/failure.ts'
import { PlatformError } from '../../core/contract/errors.ts'
import type { DeployTarget, InferenceReply, InferenceRequest, InferenceUsage } from '../../core/ports/deployer.ts'
import { askLater, laterResult } from './infer-async.ts'
import { describe } from './metadata.ts'
import { modelName } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import { planOf } from './plan.ts'
import { type State, stateOf } from './state.ts'
import { fromWire, toWire } from './wire.ts'

/** What runs is the service's: of a call only its length is known. */
export const usageOf = (compute_us: number): InferenceUsage => ({
  compute_us,
  cpu_us: compute_us,
  cold: false,
  init_us: 0,
  memory_bytes: 0,
  batch_size: 1,
})

/** Answers a call, or has it queued where the deployment is asynchronous. */
export const infer = async (parts: SagemakerParts, target: DeployTarget, request: InferenceRequest): Promise<InferenceReply> => {
  const state = stateOf(target.deployment)
  if (state === undefined) throw new PlatformError('deployment_unavailable', `Deployment ${target.deployment.id} was never up`)
  const later = request.method === 'GET' ? /^\/async\/([A-Za-z0-9-]{1,64})$/.exec(request.path)?.[1] : undefined
  if (later !== undefined) return laterResult(parts, target, later)
  if (request.method === 'GET') return describe(target, request.path)
  const { payload_bytes } = planOf(target.deployment, parts.prices)
  if (state.endpoint_mode === 'async') return askLater(parts, target, state, request, payload_bytes)
  return askNow(parts, target, state, request, await gathered(request.body, payload_bytes, state))
}

const askNow = async (
  parts: SagemakerParts,
  target: DeployTarget,
  state: State,
  request: InferenceRequest,
  body: Uint8Array,
): Promise<InferenceReply> => {
  const call = toWire(target, request, body)
  const { deployment } = target
  const component = modelName(parts.stage, deployment.id, deployment.revision)
  const started = performance.now()
  try {
    const reply = await parts.clients.runtime().send(
      new InvokeEndpointCommand({
        EndpointName: state.endpoint_name,
        ContentType: call.content_type,
        Body: call.body,
        ...(state.components ? { InferenceComponentName: component } : {}),
      }),
      { ...(request.signal === undefined ? {} : { abortSignal: request.signal }) },
    )
    const usage = usageOf(Math.round((performance.now() - started) * 1000))
    const content = { content_type: reply.ContentType ?? '', body: reply.Body ?? new Uint8Array() }
    const answered = /^r(\d+)$/.exec(reply.InvokedProductionVariant ?? '')?.[1]
    const other = answered !== undefined && Number(answered) !== deployment.revision ? { revision: Number(answered) } : {}
    return { status: 200, ...fromWire(target, call.form, content), usage, ...other }
  } catch (error) {
    return refusal(error, deployment.id, Math.round((performance.now() - started) * 1000))
  }
}

/** The whole body, at most what the endpoint takes. */
const gathered = async (body: Uint8Array | Readable, most_bytes: number, { endpoint_mode }: State): Promise<Uint8Array> => {
  const pieces: Uint8Array[] = []
  let size_bytes = 0
  const take = (piece: Uint8Array): void => {
    size_bytes += piece.byteLength
    if (size_bytes > most_bytes)
      throw new PlatformError(
        'payload_too_large',
        `wanted at most ${most_bytes} bytes for ${endpoint_mode}; metadata.endpoint_mode async takes up to 1 GB`,
      )
    pieces.push(piece)
  }
  if (body instanceof Uint8Array) take(body)
  else
    for await (const piece of body)
      if (piece instanceof Uint8Array) take(piece)
      else throw new PlatformError('malformed_body', 'wanted the request body as bytes')
  return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)
}

const memberOf = (error: unknown, name: string): unknown =>
  typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined

/** The model's own refusal of an input is its answer; all else is a fault of the platform or of AWS. */
const refusal = (error: unknown, deployment_id: string, elapsed_us: number): InferenceReply => {
  const code = awsCode(error)
  const said = error instanceof Error ? error.message : String(error)
  if (code === 'ModelError') {
    const status = Number(memberOf(error, 'OriginalStatusCode') ?? 500)
    const original = String(memberOf(error, 'OriginalMessage') ?? said)
    if (status >= 500)
      throw new PlatformError('model_crashed', `The model's container failed: ${original.slice(0, 500)}`, { cause: error })
    const body = Buffer.from(JSON.stringify({ error: original, code: 'model_error' }))
    return { status, headers: { 'content-type': 'application/json' }, body, usage: usageOf(elapsed_us) }
  }
  const known = {
    ModelNotReadyException: ['deployment_waking', 'The model is being loaded', { retry_after_s: 5 }],
    ThrottlingException: ['overloaded', 'The endpoint has more requests than it takes', { retry_after_s: 1 }],
    ServiceUnavailable: ['overloaded', 'The endpoint has no instance for this request', { retry_after_s: 2 }],
    InternalDependencyException: ['unavailable', 'The endpoint did not answer', { retry_after_s: 2 }],
  } as const
  if (code === 'ValidationError' || code === 'ValidationException') {
    const waking = /no capacity|not have.*capacity|scal/i.test(said)
    throw new PlatformError(
      waking ? 'deployment_waking' : /not found|could not find/i.test(said) ? 'deployment_unavailable' : 'bad_request',
      waking ? `Deployment ${deployment_id} has no instance yet` : `SageMaker refused the call: ${said}`,
      { cause: error, ...(waking ? { retry_after_s: 30 } : {}) },
    )
  }
  throw awsFailure(error, 'Calling the endpoint', known)
}
