/**
 * What the managed Node.js runtime does for a function, after its public interface: the Runtime API's loop, and `globalThis.awslambda`
 * for handlers that stream. Run as a process of its own by `lambda-environments.ts`.
 */
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { pathToFileURL } from 'node:url'

const { AWS_LAMBDA_RUNTIME_API = '', LAMBDA_TASK_ROOT = '', _HANDLER = '' } = process.env
const base = `http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime`
const agent = new Agent({ keepAlive: true })
const streaming = Symbol.for('aws.lambda.runtime.handler.streaming')
const httpIntegration = 'application/vnd.awslambda.http-integration-response'

/** A stream handed to a streaming handler: the request that carries its answer. The prelude leaves with the first write. */
type ResponseStream = ClientRequest & {
  prelude?: string | undefined
  began?: boolean
  setContentType?: (type: string) => void
}

const streamifyResponse = (handler: object): object => Object.assign(handler, { [streaming]: 'response' })
const from = (stream: ResponseStream, prelude: object): ResponseStream => {
  stream.setHeader('content-type', httpIntegration)
  stream.prelude = JSON.stringify(prelude)
  return stream
}
Reflect.set(globalThis, 'awslambda', { streamifyResponse, HttpResponseStream: { from } })

const open = (
  method: string,
  path: string,
  headers: Record<string, string>,
  answered: (reply: IncomingMessage) => void,
): ClientRequest => request(`${base}${path}`, { method, agent, headers }, answered)

const call = (method: string, path: string, body?: string, headers: Record<string, string> = {}) =>
  new Promise<{ headers: IncomingMessage['headers']; text: string }>((resolve, reject) => {
    const sent = open(method, path, headers, (reply) => {
      const pieces: Buffer[] = []
      reply.on('data', (piece: Buffer) => pieces.push(piece))
      reply.on('end', () => resolve({ headers: reply.headers, text: Buffer.concat(pieces).toString() }))
    })
    sent.on('error', reject)
    sent.end(body)
  })

const failure = (error: unknown) => ({
  errorType: error instanceof Error ? error.name : 'Error',
  errorMessage: error instanceof Error ? error.message : String(error),
  stackTrace: error instanceof Error ? (error.stack ?? '').split('\n').slice(1) : [],
})
const report = (path: string, error: unknown) =>
  call('POST', path, JSON.stringify(failure(error)), { 'lambda-runtime-function-error-type': failure(error).errorType })

const responseStream = (id: string): { stream: ResponseStream; done: Promise<void> } => {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const stream: ResponseStream = open(
    'POST',
    `/invocation/${id}/response`,
    {
      'lambda-runtime-function-response-mode': 'streaming',
      'content-type': 'application/octet-stream',
      trailer: 'Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body',
    },
    (reply) => reply.resume().on('end', resolve),
  )
  stream.on('error', reject)
  stream.setContentType = (type) => void stream.setHeader('content-type', type)
  const write = stream.write.bind(stream)
  stream.write = (chunk: unknown, ...rest: unknown[]): boolean => {
    if (!stream.began && stream.prelude !== undefined) {
      write(stream.prelude)
      write(Buffer.alloc(8))
    }
    stream.began = true
    const bytes = typeof chunk === 'string' || chunk instanceof Uint8Array ? chunk : JSON.stringify(chunk)
    return Reflect.apply(write, stream, [bytes, ...rest])
  }
  return { stream, done: promise }
}

type Handler = (event: unknown, ...rest: unknown[]) => Promise<unknown>

const answerInStream = async (handler: Handler, event: unknown, context: object, id: string): Promise<void> => {
  const { stream, done } = responseStream(id)
  try {
    await handler(event, stream, context)
    if (!stream.writableEnded) throw new Error('The streaming handler resolved before it ended its stream')
    await done
  } catch (error) {
    if (!stream.began) {
      stream.destroy()
      done.catch(() => undefined)
      await report(`/invocation/${id}/error`, error)
      return
    }
    const { errorType } = failure(error)
    const body = Buffer.from(JSON.stringify(failure(error))).toString('base64')
    stream.addTrailers({ 'Lambda-Runtime-Function-Error-Type': errorType, 'Lambda-Runtime-Function-Error-Body': body })
    stream.end()
    await done
  }
}

const answerOnce = async (handler: Handler, event: unknown, context: object, id: string): Promise<void> => {
  try {
    await call('POST', `/invocation/${id}/response`, JSON.stringify((await handler(event, context)) ?? null))
  } catch (error) {
    await report(`/invocation/${id}/error`, error)
  }
}

const load = async (): Promise<Handler> => {
  const [file = '', name = ''] = _HANDLER.split('.')
  const exported: Record<string, unknown> = await import(pathToFileURL(`${LAMBDA_TASK_ROOT}/${file}.mjs`).href)
  const handler = exported[name]
  if (typeof handler !== 'function') throw new Error(`${_HANDLER} is undefined or not exported`)
  return handler as Handler
}

const contextOf = (headers: IncomingMessage['headers']) => ({
  awsRequestId: String(headers['lambda-runtime-aws-request-id']),
  functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
  functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
  memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
  invokedFunctionArn: String(headers['lambda-runtime-invoked-function-arn']),
  getRemainingTimeInMillis: () => Number(headers['lambda-runtime-deadline-ms']) - Date.now(),
})

const handler = await load().catch(async (error: unknown) => {
  console.error(error)
  await report('/init/error', error)
  process.exit(1)
})
for (;;) {
  const { headers, text } = await call('GET', '/invocation/next')
  const context = contextOf(headers)
  const answer = Reflect.get(handler, streaming) === undefined ? answerOnce : answerInStream
  await answer(handler, JSON.parse(text), context, context.awsRequestId)
}
