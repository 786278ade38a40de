import type { IncomingMessage } from 'node:http'
import type { APIGatewayProxyEvent } from 'aws-lambda'
import { PlatformError } from '../../layers/core/contract/errors.ts'
import type { Match } from './router.ts'

export interface Arrival {
  path: string
  search: URLSearchParams
  headers: Record<string, string>
  source_ip: string
  request_id: string
}

/** The REST proxy event API Gateway would make of this request. */
export const proxyEvent = (method: string, match: Match, arrival: Arrival, body: Buffer): APIGatewayProxyEvent => ({
  resource: match.row.path,
  path: arrival.path,
  httpMethod: method,
  headers: arrival.headers,
  multiValueHeaders: Object.fromEntries(Object.entries(arrival.headers).map(([name, value]) => [name, [value]])),
  pathParameters: match.params,
  queryStringParameters: Object.fromEntries(arrival.search),
  multiValueQueryStringParameters: Object.fromEntries(
    [...new Set(arrival.search.keys())].map((name) => [name, arrival.search.getAll(name)]),
  ),
  stageVariables: null,
  body: body.length === 0 ? null : body.toString('utf8'),
  isBase64Encoded: false,
  requestContext: {
    accountId: 'local',
    apiId: 'local',
    authorizer: null,
    protocol: 'HTTP/1.1',
    httpMethod: method,
    path: arrival.path,
    stage: 'local',
    requestId: arrival.request_id,
    requestTimeEpoch: Date.now(),
    resourceId: match.row.id,
    resourcePath: match.row.path,
    identity: { ...anonymousIdentity, sourceIp: arrival.source_ip, userAgent: arrival.headers['user-agent'] ?? null },
  },
})

const anonymousIdentity = {
  accessKey: null,
  accountId: null,
  apiKey: null,
  apiKeyId: null,
  caller: null,
  clientCert: null,
  cognitoAuthenticationProvider: null,
  cognitoAuthenticationType: null,
  cognitoIdentityId: null,
  cognitoIdentityPoolId: null,
  principalOrgId: null,
  user: null,
  userArn: null,
}

/**
 * Collects a body of at most `max_bytes`; a longer declared or actual length is refused without reading on. `watch` is told of bodies
 * that are still on their way. What came together with the head is taken in one read, without listening to the stream.
 */
export const collect = async (
  request: IncomingMessage,
  max_bytes: number,
  watch: (request: IncomingMessage) => void,
): Promise<Buffer> => {
  const declared = Number(request.headers['content-length'] ?? 0)
  if (declared > max_bytes) throw tooLarge(declared, max_bytes)
  // The parser is still in the middle of what arrived; after this turn all of it is here.
  await undefined
  if (request.complete) {
    if (request.readableLength > max_bytes) throw tooLarge(request.readableLength, max_bytes)
    return request.read() ?? nothing
  }
  if (request.destroyed) throw new PlatformError('bad_request', cut_off)
  watch(request)
  return gathered(request, max_bytes)
}

const nothing = Buffer.alloc(0)
const cut_off = 'The request ended before its body was complete'

const gathered = (request: IncomingMessage, max_bytes: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    let ended = false
    // An Error takes a stack, 5 µs: made only when it is needed, because every request closes.
    const cutOff = (cause?: unknown): void => {
      if (!ended) reject(new PlatformError('bad_request', cut_off, { cause }))
    }
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > max_bytes) return reject(tooLarge(size, max_bytes))
      chunks.push(chunk)
    })
    request.once('end', () => {
      ended = true
      resolve(joined(chunks, size))
    })
    request.once('error', cutOff)
    request.once('close', () => cutOff())
  })

/** The pieces in one buffer. Theirs are given back at once: left to the garbage collector, they bring on its full runs. */
const joined = (chunks: readonly Buffer[], size_bytes: number): Buffer => {
  if (chunks.length === 1 && chunks[0]) return chunks[0]
  const body = Buffer.concat(chunks, size_bytes)
  for (const { buffer, byteLength } of chunks)
    if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
  return body
}

const tooLarge = (got: number, wanted: number): PlatformError =>
  new PlatformError(
    'payload_too_large',
    `The body has ${got} bytes or more; at most ${wanted} are taken here. Rows of data that are larger come as a dataset (POST /datasets), models as a form or in parts (POST /models)`,
  )
