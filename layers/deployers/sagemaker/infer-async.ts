import { randomUUID } from 'node:crypto'
import { InvokeEndpointAsyncCommand } from '@aws-sdk/client-sagemaker-runtime'
import * as z from 'zod'
import { awsFailure } from '../../aws/failure.ts'
import { notFound, PlatformError } from '../../core/contract/errors.ts'
import type { Artifacts } from '../../core/ports/artifacts.ts'
import type { DeployTarget, InferenceReply, InferenceRequest } from '../../core/ports/deployer.ts'
import { usageOf } from './infer.ts'
import { asyncPrefix } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import type { State } from './state.ts'
import { fromWire, toWire } from './wire.ts'

/** What is kept of a call that was queued, beside its input. */
const Ticket = z.object({
  form: z.enum(['tensors', 'array', 'named', 'as_is']),
  output: z.string(),
  failure: z.string().nullable(),
})

/** Bodies up to this are rewritten where that is needed; larger ones want the protocol itself. */
const REWRITTEN_BYTES = 32 * 1024 * 1024
const json = { 'content-type': 'application/json' }

/** Puts the body into the bucket and the call into the endpoint's queue. Answers 202 with the address of its result. */
export const askLater = async (
  parts: SagemakerParts,
  target: DeployTarget,
  state: State,
  request: InferenceRequest,
  most_bytes: number,
): Promise<InferenceReply> => {
  const { id, resource_requirements } = target.deployment
  const inference_id = randomUUID()
  const folder = `${asyncPrefix(id)}${inference_id}`
  const declared = Number(request.headers['content-length'] ?? 0)
  const is_bare = request.path === '' || request.path === '/'
  const rewrites = is_bare && declared <= REWRITTEN_BYTES
  const body = rewrites ? await gathered(request, REWRITTEN_BYTES) : request.body
  const call =
    body instanceof Uint8Array
      ? toWire(target, request, body)
      : { content_type: 'application/json', form: 'as_is' as const, body }
  const input = `${folder}/input`
  await parts.artifacts.put(input, call.body instanceof Uint8Array ? once(call.body) : call.body, { max_bytes: most_bytes })
  try {
    const queued = await parts.clients.runtime().send(
      new InvokeEndpointAsyncCommand({
        EndpointName: state.endpoint_name,
        ContentType: call.content_type,
        InputLocation: `s3://${parts.bucket}/${input}`,
        InferenceId: inference_id,
        InvocationTimeoutSeconds: Math.min(3600, resource_requirements.timeout),
      }),
    )
    const ticket = { form: call.form, output: keyOf(queued.OutputLocation), failure: keyOf(queued.FailureLocation) || null }
    await parts.artifacts.put(`${folder}/ticket`, once(Buffer.from(JSON.stringify(ticket))))
  } catch (error) {
    throw awsFailure(error, 'Queueing the call')
  }
  const url = `${parts.public_url}/deployments/${id}/inference/async/${inference_id}`
  const answer = Buffer.from(JSON.stringify({ inference_id, output: { url } }))
  return { status: 202, headers: { ...json, location: url }, body: answer, usage: usageOf(0) }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

const gathered = async ({ body }: InferenceRequest, most_bytes: number): Promise<Uint8Array> => {
  if (body instanceof Uint8Array) return body
  const pieces: Buffer[] = []
  let size_bytes = 0
  for await (const piece of body) {
    size_bytes += piece.length
    if (size_bytes > most_bytes)
      throw new PlatformError(
        'payload_too_large',
        `wanted at most ${most_bytes} bytes in the bare form; larger bodies in the protocol's`,
      )
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/** `s3://bucket/key` → `key`. */
const keyOf = (location: string | undefined): string => location?.replace(/^s3:\/\/[^/]+\//, '') ?? ''

/** The result of a queued call: 200 once it is there, 202 until then. Fails with `not_found` or `model_error`. */
export const laterResult = async (
  { artifacts }: Pick<SagemakerParts, 'artifacts'>,
  target: DeployTarget,
  inference_id: string,
): Promise<InferenceReply> => {
  const ticket_key = `${asyncPrefix(target.deployment.id)}${inference_id}/ticket`
  if ((await artifacts.stat(ticket_key)) === undefined) throw notFound('Inference', inference_id)
  const ticket = Ticket.parse(JSON.parse((await whole(artifacts, ticket_key)).toString('utf8')))
  const usage = usageOf(0)
  if ((await artifacts.stat(ticket.output)) !== undefined) {
    if (ticket.form === 'as_is') return { status: 200, headers: json, body: await artifacts.read(ticket.output), usage }
    const reply = { content_type: 'application/json', body: await whole(artifacts, ticket.output) }
    return { status: 200, ...fromWire(target, ticket.form, reply), usage }
  }
  if (ticket.failure !== null && (await artifacts.stat(ticket.failure)) !== undefined) {
    const said = (await whole(artifacts, ticket.failure)).toString('utf8').slice(0, 500)
    throw new PlatformError('model_error', `The model could not run this input: ${said}`)
  }
  const body = Buffer.from(JSON.stringify({ inference_id, status: 'pending' }))
  return { status: 202, headers: { ...json, 'retry-after': '5' }, body, usage }
}

const whole = async (artifacts: Pick<Artifacts, 'read'>, key: string): Promise<Buffer> =>
  Buffer.concat(await (await artifacts.read(key)).toArray())
