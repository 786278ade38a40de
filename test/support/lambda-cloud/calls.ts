import type { IncomingMessage, ServerResponse } from 'node:http'
import { invokeComplete, payloadChunk } from './event-stream.ts'
import { configOf, functionOf } from './functions.ts'
import { CloudFault, type CloudFunction, type CloudOptions, type CloudState } from './state.ts'

/** Calling functions: directly, as a stream, and by their addresses. */

const mostRequest_bytes = 6 * 2 ** 20

const counted = (state: CloudState, name: string, alias: string, version: string, failed: boolean): void => {
  const key = `${name}:${alias}#${version}`
  const before = state.counts.get(key) ?? { invocations: 0, errors: 0 }
  state.counts.set(key, { invocations: before.invocations + 1, errors: before.errors + (failed ? 1 : 0) })
}

/** Which version an alias sends this call to; `share` in [0, 1) decides. */
const versionFor = (fn: CloudFunction, qualifier: string, share: number): string => {
  const alias = fn.aliases.get(qualifier)
  if (!alias) return qualifier
  const [other, weight = 0] = Object.entries(alias.weights)[0] ?? []
  return other !== undefined && share < weight ? other : alias.version
}

const run = async (state: CloudState, options: CloudOptions, fn: CloudFunction, qualifier: string, event: unknown) => {
  const version = versionFor(fn, qualifier, Math.random())
  const config = configOf(fn, version)
  if (config.state === 'Pending')
    throw new CloudFault('ResourceConflictException', 409, `The function is currently in the following state: ${config.state}`)
  if (fn.reserved === 0) throw new CloudFault('TooManyRequestsException', 429, 'Rate Exceeded.')
  try {
    const answer = await options.run({ name: fn.name, version, environment: config.environment, event })
    counted(state, fn.name, qualifier, version, false)
    return { answer }
  } catch (error) {
    counted(state, fn.name, qualifier, version, true)
    return { failure: error instanceof Error ? error.message : String(error) }
  }
}

export interface HttpAnswer {
  statusCode: number
  headers: Record<string, string>
  body: string
}

const isHttp = (answer: unknown): answer is HttpAnswer => typeof answer === 'object' && answer !== null && 'statusCode' in answer

export const invoke = async (
  state: CloudState,
  options: CloudOptions,
  name: string,
  qualifier: string,
  bytes: Buffer,
  response: ServerResponse,
) => {
  if (bytes.length > mostRequest_bytes)
    throw new CloudFault(
      'RequestTooLargeException',
      413,
      `${bytes.length} byte payload is too large for the RequestResponse invocation type (limit ${mostRequest_bytes} bytes)`,
    )
  const { answer, failure } = await run(state, options, functionOf(state, name), qualifier, JSON.parse(bytes.toString() || '{}'))
  if (failure === undefined)
    return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? null))
  response
    .writeHead(200, { 'x-amz-function-error': 'Unhandled' })
    .end(JSON.stringify({ errorType: 'Error', errorMessage: failure }))
}

/** Status and headers, eight zero bytes, body: what a streaming function writes; here in small pieces. */
export const invokeStream = async (
  state: CloudState,
  options: CloudOptions,
  name: string,
  qualifier: string,
  bytes: Buffer,
  response: ServerResponse,
) => {
  if (bytes.length > mostRequest_bytes) throw new CloudFault('RequestTooLargeException', 413, 'too large')
  const { answer, failure } = await run(state, options, functionOf(state, name), qualifier, JSON.parse(bytes.toString()))
  response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' })
  if (failure !== undefined || !isHttp(answer))
    return void response.end(invokeComplete({ ErrorCode: 'Unhandled', ErrorDetails: failure ?? 'no answer' }))
  const { body, ...prelude } = answer
  const whole = Buffer.concat([Buffer.from(JSON.stringify(prelude)), Buffer.alloc(8), Buffer.from(body, 'base64')])
  const piece_bytes = Math.max(37, Math.ceil(whole.length / 50))
  for (let at = 0; at < whole.length; at += piece_bytes) response.write(payloadChunk(whole.subarray(at, at + piece_bytes)))
  response.end(invokeComplete())
}

/** A call of an address: what Lambda makes of it for the function, if the permissions let anyone in. */
export const callUrl = async (
  state: CloudState,
  options: CloudOptions,
  request: IncomingMessage,
  bytes: Buffer,
  response: ServerResponse,
) => {
  const { pathname, search } = new URL(request.url ?? '/', 'http://any')
  const [, , id = '', ...rest] = pathname.split('/')
  const found = [...state.functions.values()]
    .flatMap((fn) => [...fn.aliases].map(([alias, of]) => ({ fn, alias, of })))
    .find(({ of }) => of.url?.id === id)
  const refuse = (status: number, Message: string): void =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ Message }))
  if (!found) return refuse(403, 'Forbidden')
  const actions = [...found.of.statements.values()].filter(({ Principal }) => Principal === '*').map(({ Action }) => Action)
  if (!actions.includes('lambda:InvokeFunctionUrl') || !actions.includes('lambda:InvokeFunction')) return refuse(403, 'Forbidden')
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
  const rawPath = `/${rest.join('/')}`
  const http = { method: request.method, path: rawPath, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'test' }
  const event = {
    version: '2.0',
    rawPath,
    rawQueryString: search.slice(1),
    headers,
    requestContext: { http, requestId: 'r', accountId: 'anonymous' },
    body: bytes.toString('base64'),
    isBase64Encoded: true,
  }
  try {
    const { answer } = await run(state, options, found.fn, found.alias, event)
    if (!isHttp(answer)) return refuse(502, 'Internal Server Error')
    response.writeHead(answer.statusCode, answer.headers).end(Buffer.from(answer.body, 'base64'))
  } catch (error) {
    if (error instanceof CloudFault) return refuse(error.status, error.message)
    throw error
  }
}
