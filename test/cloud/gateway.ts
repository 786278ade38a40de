import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { GatewayAnswer, RestMethod } from './rest-api.ts'

/** API Gateway takes 10 MB; what does not fit a Lambda event is refused the same way. */
const largest_body_bytes = 10 * 2 ** 20

export interface GatewayParts {
  methods: readonly RestMethod[]
  answers: ReadonlyMap<string, (request_id: string) => GatewayAnswer>
  binary_types: readonly string[]
  /** Invokes the function of a logical id with a REST proxy event. */
  invoke(
    logical_id: string,
    event: object,
  ): Promise<{ statusCode: number; headers?: Record<string, string>; body: string; isBase64Encoded?: boolean }>
  invokeStream(logical_id: string, event: object): Promise<{ status: number; headers: Record<string, string>; body: Readable }>
}

export interface Gateway {
  url: string
  stop(): Promise<void>
}

interface Found {
  rest: RestMethod
  params: Record<string, string>
}

/** A REST API on loopback, made of a synthesised template: routing, events, limits and answers as API Gateway gives them. */
export const startGateway = async (parts: GatewayParts): Promise<Gateway> => {
  const server = createServer({ maxHeaderSize: 10_240 }, (request, response) => {
    serve(parts, request, response).catch((error: unknown) => {
      process.stderr.write(`gateway: ${error instanceof Error ? error.stack : String(error)}\n`)
      if (!response.headersSent) answer(response, parts, 'DEFAULT_5XX', 502)
      else response.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const serve = async (parts: GatewayParts, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const url = new URL(request.url ?? '/', 'http://gateway')
  const found = find(parts.methods, request.method ?? 'GET', url.pathname)
  if (found?.rest.function === undefined) return answer(response, parts, 'MISSING_AUTHENTICATION_TOKEN', 403)
  const body = await bodyOf(request)
  if (body === undefined) return answer(response, parts, 'REQUEST_TOO_LARGE', 413)
  const event = eventOf(found, request, url, body, parts.binary_types)
  if (!found.rest.streams) {
    const reply = await parts.invoke(found.rest.function, event)
    response.writeHead(reply.statusCode, reply.headers)
    response.end(Buffer.from(reply.body ?? '', reply.isBase64Encoded ? 'base64' : 'utf8'))
    return
  }
  const reply = await parts.invokeStream(found.rest.function, event)
  response.writeHead(reply.status, reply.headers)
  await pipeline(reply.body, response).catch(() => response.destroy())
}

const answer = (response: ServerResponse, parts: GatewayParts, type: string, fallback: number): void => {
  const custom = parts.answers.get(type)?.(randomUUID())
  response.writeHead(custom?.status ?? fallback, custom?.headers ?? { 'content-type': 'application/json' })
  response.end(custom?.body ?? '{"message":"Missing Authentication Token"}')
}

/** A fixed segment wins over a variable, a variable over the greedy one. */
const find = (methods: readonly RestMethod[], method: string, path: string): Found | undefined => {
  const wanted = path.split('/').slice(1)
  const matches = methods.flatMap((rest) => {
    if (rest.method !== method) return []
    const params = match(rest.resource.split('/').slice(1), wanted)
    return params === undefined ? [] : [{ rest, params }]
  })
  return matches.sort((a, b) => weight(a.rest) - weight(b.rest))[0]
}

const weight = ({ resource }: RestMethod): number => (resource.includes('+}') ? 100 : 0) + resource.split('{').length

const match = (segments: string[], wanted: string[]): Record<string, string> | undefined => {
  const params: Record<string, string> = {}
  for (const [at, segment] of segments.entries()) {
    const variable = /^\{(.+?)(\+?)\}$/.exec(segment)
    const got = wanted[at]
    if (variable?.[2]) {
      if (got === undefined || got === '') return undefined
      params[variable[1] ?? ''] = wanted.slice(at).join('/')
      return params
    }
    if (got === undefined || got === '' || (!variable && got !== segment)) return undefined
    if (variable) params[variable[1] ?? ''] = decodeURIComponent(got)
  }
  return segments.length === wanted.length ? params : undefined
}

const bodyOf = async (request: IncomingMessage): Promise<Buffer | undefined> => {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of request) {
    size += piece.length
    if (size <= largest_body_bytes) pieces.push(piece)
  }
  return size > largest_body_bytes ? undefined : Buffer.concat(pieces)
}

const eventOf = (
  { rest, params }: Found,
  request: IncomingMessage,
  url: URL,
  body: Buffer,
  binary: readonly string[],
): object => {
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
  const type = (headers['content-type'] ?? '').split(';')[0] ?? ''
  const isBase64Encoded = body.length > 0 && (binary.includes(type) || binary.includes('*/*'))
  const names = [...new Set(url.searchParams.keys())]
  return {
    resource: rest.resource,
    path: url.pathname,
    httpMethod: rest.method,
    headers,
    multiValueHeaders: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])),
    pathParameters: Object.keys(params).length ? params : null,
    queryStringParameters: names.length ? Object.fromEntries(url.searchParams) : null,
    multiValueQueryStringParameters: names.length
      ? Object.fromEntries(names.map((name) => [name, url.searchParams.getAll(name)]))
      : null,
    stageVariables: null,
    body: body.length === 0 ? null : body.toString(isBase64Encoded ? 'base64' : 'utf8'),
    isBase64Encoded,
    requestContext: {
      accountId: '123456789012',
      apiId: 'api',
      authorizer: null,
      protocol: 'HTTP/1.1',
      httpMethod: rest.method,
      path: url.pathname,
      stage: 'dev',
      requestId: randomUUID(),
      requestTimeEpoch: Date.now(),
      resourceId: rest.resource,
      resourcePath: rest.resource,
      identity: { sourceIp: request.socket.remoteAddress ?? '127.0.0.1', userAgent: headers['user-agent'] ?? null },
    },
  }
}
