import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { JsonObject } from '../../layers/core/domain/json.ts'
import { ServiceError } from './aws-json-server.ts'
import { controlPlane, type Orders } from './sagemaker-cloud/control.ts'
import { processingJobs } from './sagemaker-cloud/jobs.ts'
import { iamAnswer, neighbours } from './sagemaker-cloud/neighbours.ts'
import { type CloudState, emptyState, objects } from './sagemaker-cloud/state.ts'
import { trainingJobs } from './sagemaker-cloud/training.ts'

/** What a container answers; `status` other than 200 becomes a ModelError as the service words it. */
export interface ContainerReply {
  status: number
  content_type: string
  body: Uint8Array
}
export type Container = (call: {
  endpoint: string
  variant: string
  model: string
  content_type: string
  body: Buffer
}) => Promise<ContainerReply>

export interface SagemakerCloud {
  endpoint: string
  state: CloudState
  orders: Orders
  /** Every call in order, by operation. */
  calls: string[]
  /** Answers invocations. */
  container: Container | undefined
  /** Takes what an asynchronous call left in the bucket; answers where its result will be. */
  queued: { input: string; inference_id: string; output: string; failure: string }[]
  /** The call of this number is done and its answer lost; nothing is answered after it. Undefined: never. */
  dies_at: number | undefined
  /** The next calls of an operation are refused. */
  refuse(operation: string, code: string, times: number): void
  stop(): Promise<void>
}

/** SageMaker with its runtime, IAM, auto scaling, alarms and logs on one loopback port, with state and the service's own refusals. */
export const startSagemakerCloud = async (): Promise<SagemakerCloud> => {
  const state = emptyState()
  const orders: Orders = { looks: 1, no_room: new Map(), fails: undefined, refuses_zero: false, role_delay: 1 }
  const operations = { ...controlPlane(state, orders), ...neighbours(state), ...processingJobs(state), ...trainingJobs(state) }
  const refusals = new Map<string, { code: string; times: number }>()
  const run = async (request: IncomingMessage, body: Buffer, note: (name: string) => void): Promise<Answer> => {
    const target = String(request.headers['x-amz-target'] ?? '')
      .split('.')
      .at(-1)
    const runtime = /^\/endpoints\/([^/]+)\/(async-)?invocations$/.exec(request.url ?? '')
    const form = new URLSearchParams(body.toString())
    const operation = target || (runtime ? (runtime[2] ? 'InvokeEndpointAsync' : 'InvokeEndpoint') : (form.get('Action') ?? ''))
    note(operation)
    const refusal = refusals.get(operation)
    if (refusal && refusal.times-- > 0)
      throw new ServiceError(refusal.code, 'Rate exceeded', refusal.code === 'InternalFailure' ? 500 : 400)
    if (runtime) return invoke(self, runtime[1] ?? '', runtime[2] !== undefined, request, body)
    if (!target) return { status: 200, headers: { 'content-type': 'text/xml' }, body: iamAnswer(state, orders, form) }
    const act = operations[operation]
    if (!act) throw new ServiceError('UnknownOperationException', operation)
    return {
      status: 200,
      headers: { 'content-type': 'application/x-amz-json-1.1' },
      body: JSON.stringify(act(JsonObject.parse(JSON.parse(body.toString() || '{}')))),
    }
  }
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    const is_dead = self.dies_at !== undefined && self.calls.length >= self.dies_at
    if (is_dead) return void request.socket.destroy()
    const answer = await run(request, Buffer.concat(pieces), (name) => self.calls.push(name)).catch((error: unknown) =>
      refused(request, error),
    )
    if (self.dies_at !== undefined && self.calls.length >= self.dies_at) return void request.socket.destroy()
    response.writeHead(answer.status, answer.headers).end(answer.body)
  }
  const server = createServer((request, response) => void handle(request, response).catch(() => request.socket.destroy())).listen(
    0,
    '127.0.0.1',
  )
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const self: SagemakerCloud = {
    endpoint: `http://127.0.0.1:${port}`,
    state,
    orders,
    calls: [],
    container: undefined,
    queued: [],
    dies_at: undefined,
    refuse: (operation, code, times) => void refusals.set(operation, { code, times }),
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return self
}

interface Answer {
  status: number
  headers: Record<string, string>
  body: string | Uint8Array
}

const refused = (request: IncomingMessage, thrown: unknown): Answer => {
  const error = thrown instanceof ServiceError ? thrown : new ServiceError('InternalFailure', String(thrown), 500)
  if (!request.headers['x-amz-target'] && !request.url?.startsWith('/endpoints/')) {
    const xml = `<ErrorResponse><Error><Type>Sender</Type><Code>${error.name}</Code><Message>${error.message}</Message></Error><RequestId>r</RequestId></ErrorResponse>`
    return { status: error.status, headers: { 'content-type': 'text/xml' }, body: xml }
  }
  const body = JSON.stringify({
    __type: error.name,
    message: error.message,
    Message: error.message,
    ...('extras' in error ? Object(error.extras) : {}),
  })
  return { status: error.status, headers: { 'content-type': 'application/json', 'x-amzn-errortype': error.name }, body }
}

const drawn = (weights: Map<string, number>): string => {
  let left = Math.random() * [...weights.values()].reduce((sum, weight) => sum + weight, 0)
  for (const [name, weight] of weights) {
    left -= weight
    if (left < 0) return name
  }
  return ''
}

const invoke = async (
  cloud: SagemakerCloud,
  name: string,
  is_async: boolean,
  request: IncomingMessage,
  body: Buffer,
): Promise<Answer> => {
  const endpoint = cloud.state.endpoints.get(name)
  if (!endpoint) throw new ServiceError('ValidationError', `Endpoint ${name} of account 123456789012 not found.`)
  const header = (key: string): string => String(request.headers[key] ?? '')
  if (is_async) {
    const bucket = 's3://bucket/'
    const inference_id = header('x-amzn-sagemaker-inference-id')
    const folder = `deployments/dep_1/async`
    const [output, failure] = [`${folder}/results/${inference_id}.out`, `${folder}/failures/${inference_id}-error.out`]
    cloud.queued.push({ input: header('x-amzn-sagemaker-inputlocation').replace(bucket, ''), inference_id, output, failure })
    const headers = { 'x-amzn-sagemaker-outputlocation': bucket + output, 'x-amzn-sagemaker-failurelocation': bucket + failure }
    return {
      status: 202,
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ InferenceId: inference_id }),
    }
  }
  const variant = drawn(endpoint.weights)
  const variants = objects(cloud.state.configs.get(endpoint.config)?.ProductionVariants)
  const of_variant = variants.find(({ VariantName }) => VariantName === variant)?.ModelName
  const model = header('x-amzn-sagemaker-inference-component') || String(of_variant)
  const reply = await cloud.container?.({ endpoint: name, variant, model, content_type: header('content-type'), body })
  if (!reply) throw new ServiceError('ServiceUnavailable', 'No container', 503)
  if (reply.status === 200)
    return {
      status: 200,
      headers: { 'content-type': reply.content_type, 'x-amzn-invoked-production-variant': variant },
      body: reply.body,
    }
  const error = new ServiceError('ModelError', `Received client error (${reply.status}) from primary`, 424)
  throw Object.assign(error, {
    extras: { OriginalStatusCode: reply.status, OriginalMessage: Buffer.from(reply.body).toString() },
  })
}
