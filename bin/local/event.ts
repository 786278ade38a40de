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

/** Collects a body of at most `max_bytes`; a longer declared or actual length is refused without reading on. */
export const collect = (request: IncomingMessage, max_bytes: number): Promise<Buffer> => {
  const declared = Number(request.headers['content-length'] ?? 0)
  if (declared > max_bytes) return Promise.reject(tooLarge(declared, max_bytes))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    let ended = false
    // An Error takes a stack, 5 µs: made only when it is needed, because every request closes.
    const cutOff = (cause?: unknown): void => {
      if (!ended) reject(new PlatformError('bad_request', 'The request ended before its body was complete', { cause }))
    }
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > max_bytes) return reject(tooLarge(size, max_bytes))
      chunks.push(chunk)
    })
    request.once('end', () => {
      ended = true
      resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, size))
    })
    request.once('error', cutOff)
    request.once('close', () => cutOff())
  })
}

const tooLarge = (got: number, wanted: number): PlatformError =>
  new PlatformError('payload_too_large', `The body has ${got} bytes or more; at most ${wanted} are taken here`)
