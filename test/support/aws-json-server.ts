import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { JsonObject } from '../../layers/core/domain/json.ts'

/** An error as the service itself would answer it: its code becomes the `name` of what the SDK throws. */
export class ServiceError extends Error {
  readonly status: number

  constructor(code: string, message: string, status = 400) {
    super(message)
    this.name = code
    this.status = status
  }
}

/**
 * `throttle` and `fail` refuse before the work is done, `hang` never answers and does nothing; `lose` does the work and cuts the
 * connection, `late` does the work and never answers: the caller cannot know whether it was done.
 */
export type Misbehaviour = 'throttle' | 'fail' | 'hang' | 'lose' | 'late'

export interface AwsJsonServer {
  endpoint: string
  /** Every call that arrived, in order. */
  calls: { operation: string; input: JsonObject }[]
  /** The next `times` calls of an operation go wrong in this way. */
  misbehave(operation: string, how: Misbehaviour, times?: number): void
  stop(): Promise<void>
}

type Operation = (input: JsonObject) => Promise<object> | object

/** One AWS service that speaks AWS JSON 1.0 or 1.1 (the operation stands in `x-amz-target`), on loopback, with real state behind it. */
export const startAwsJsonServer = async (operations: Record<string, Operation>): Promise<AwsJsonServer> => {
  const calls: AwsJsonServer['calls'] = []
  const orders = new Map<string, Misbehaviour[]>()
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const operation = String(request.headers['x-amz-target']).split('.').at(-1) ?? ''
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const how = orders.get(operation)?.shift()
    const input = JsonObject.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')))
    calls.push({ operation, input })
    if (how === 'hang') return
    if (how === 'throttle') return refuse(response, new ServiceError('ThrottlingException', 'Rate exceeded'))
    if (how === 'fail') return refuse(response, new ServiceError('InternalFailure', 'An internal error has occurred', 500))
    const run = operations[operation]
    if (!run) return refuse(response, new ServiceError('UnknownOperationException', `${operation} is not served here`))
    const outcome = await Promise.resolve(input)
      .then(run)
      .then(
        (output) => () => answer(response, 200, output),
        (error: unknown) => () => refuse(response, error),
      )
    if (how === 'lose') request.socket.destroy()
    else if (how !== 'late') outcome()
  }
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => refuse(response, error))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    calls,
    misbehave: (operation, how, times = 1) =>
      void orders.set(operation, [...(orders.get(operation) ?? []), ...Array.from({ length: times }, () => how)]),
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const answer = (response: ServerResponse, status: number, body: object): void => {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' })
  response.end(JSON.stringify(body))
}

const refuse = (response: ServerResponse, error: unknown): void => {
  if (response.headersSent) return
  if (error instanceof ServiceError) answer(response, error.status, { __type: `aws#${error.name}`, message: error.message })
  else answer(response, 500, { __type: 'aws#InternalFailure', message: error instanceof Error ? error.stack : String(error) })
}
