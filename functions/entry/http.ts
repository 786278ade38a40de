import middy from '@middy/core'
import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda'
import { app } from '#app'
import { PlatformError } from '../../layers/core/contract/errors.ts'
import type { Reply, RouteRow } from '../../layers/core/contract/route-row.ts'
import { type BodyOf, type Params, type QueryOf, type ReplyOf, type RouteId, routes } from '../../layers/core/contract/routes.ts'
import type { Principal } from '../../layers/core/domain/principal.ts'
import { access } from './access.ts'
import { idempotent } from './idempotency.ts'
import { renderError } from './render-error.ts'
import { logRequest } from './request-log.ts'
import { parseJson } from './strict-json.ts'
import { validate } from './validate.ts'

/** What a handler gets: everything parsed by the row's schemas, the caller proven and authorised. */
export interface RouteRequest<Id extends RouteId> {
  params: Params<Id>
  query: QueryOf<Id>
  body: BodyOf<Id>
  principal: (typeof routes)[Id]['role'] extends 'anonymous' ? undefined : Principal
  headers: Record<string, string>
  source_ip: string
  request_id: string
}

export type RouteHandler = ((event: APIGatewayProxyEvent, context: object) => Promise<APIGatewayProxyResult>) & { id: RouteId }

/** The handler of one JSON route: the middy onion around `run`. The event is API Gateway's REST proxy event on every host. */
export const route = <Id extends RouteId>(
  id: Id,
  run: (request: RouteRequest<Id>) => Promise<Reply<ReplyOf<Id>>>,
): RouteHandler => {
  const row: RouteRow = routes[id]
  const base = async (event: APIGatewayProxyEvent): Promise<APIGatewayProxyResult> => {
    const reply = await answer(row, event, run)
    return rendered(row, reply, event.requestContext.requestId)
  }
  const onion = middy(base).use(reporting(id, row))
  return Object.assign(
    (event: APIGatewayProxyEvent, context: object): Promise<APIGatewayProxyResult> => onion(event, context as never),
    { id },
  )
}

const answer = async <Id extends RouteId>(
  row: RouteRow,
  event: APIGatewayProxyEvent,
  run: (request: RouteRequest<Id>) => Promise<Reply<unknown>>,
): Promise<Reply<unknown>> => {
  const headers = headersOf(event)
  const params = validate(row.params, event.pathParameters ?? {}, 'params')
  const source_ip = event.requestContext.identity.sourceIp
  const principal = await access(app, row, stringsOf(event.pathParameters), {
    authorization: headers.authorization,
    api_key: headers['x-api-key'],
    source_ip,
  })
  noteOrganization(event, principal?.organization_id)
  if (row.needs.includes('prices:read')) await app.prices.load?.()
  const request = {
    params,
    query: validate(row.query, queryOf(event), 'query'),
    body: validate(row.body, row.body === undefined ? undefined : bodyOf(event, headers), 'body'),
    principal,
    headers,
    source_ip,
    request_id: event.requestContext.requestId,
  }
  return idempotent(app, row, event, principal, headers['idempotency-key'], () => run(request as unknown as RouteRequest<Id>))
}

/** One log line per request and one shape of error, whatever happens inside. */
const reporting = (id: RouteId, row: RouteRow) => ({
  before: ({ internal }: { internal: Record<string, unknown> }) => {
    internal.started_ms = performance.now()
  },
  after: ({ event, response, internal }: Middle) => report(id, event, response?.statusCode ?? 500, internal),
  onError: (request: Middle) => {
    const { event, error, internal } = request
    const shown = renderError(error, row.surface, {
      request_id: event.requestContext.requestId,
      public_url: app.config.public_url,
      path: event.path,
    })
    request.response = { statusCode: shown.status, headers: shown.headers, body: shown.body }
    report(id, event, shown.status, internal, error)
  },
})

interface Middle {
  event: APIGatewayProxyEvent
  response: APIGatewayProxyResult | undefined
  error: Error | null
  internal: Record<string, unknown>
}

const report = (
  id: RouteId,
  event: APIGatewayProxyEvent,
  status: number,
  internal: Record<string, unknown>,
  error?: unknown,
): void =>
  logRequest(app.log, {
    request_id: event.requestContext.requestId,
    route: id,
    status,
    ms: performance.now() - Number(internal.started_ms),
    organization_id: organizations.get(event),
    error,
  })

/** The organisation found while answering, for the log line of the same event. */
const organizations = new WeakMap<APIGatewayProxyEvent, string>()
const noteOrganization = (event: APIGatewayProxyEvent, organization_id: string | undefined): void => {
  if (organization_id !== undefined) organizations.set(event, organization_id)
}

const rendered = (row: RouteRow, reply: Reply<unknown>, request_id: string): APIGatewayProxyResult => ({
  statusCode: reply.status ?? row.status,
  headers: {
    'content-type': row.replies_with ?? 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-request-id': request_id,
    ...reply.headers,
  },
  body: row.replies_with === undefined ? JSON.stringify(reply.body) : String(reply.body),
})

const headersOf = (event: APIGatewayProxyEvent): Record<string, string> =>
  Object.fromEntries(
    Object.entries(event.headers).flatMap(([name, value]) => (value === undefined ? [] : [[name.toLowerCase(), value]])),
  )

const stringsOf = (values: Record<string, string | undefined> | null): Record<string, string> =>
  Object.fromEntries(Object.entries(values ?? {}).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))

const queryOf = (event: APIGatewayProxyEvent): Record<string, unknown> => {
  const repeated = Object.entries(event.multiValueQueryStringParameters ?? {}).find(([, values]) => (values?.length ?? 0) > 1)
  if (repeated)
    throw new PlatformError('invalid_request', `The query parameter ${repeated[0]} stands more than once`, {
      errors: [{ pointer: `query/${repeated[0]}`, detail: 'wanted once' }],
    })
  return event.queryStringParameters ?? {}
}

const bodyOf = (event: APIGatewayProxyEvent, headers: Record<string, string>): unknown => {
  const type = headers['content-type']
  if (event.body === null || event.body === '') throw new PlatformError('malformed_body', 'The request has no body; wanted JSON')
  if (type !== undefined && !/^application\/([a-z.+-]+\+)?json\b/i.test(type))
    throw new PlatformError('unsupported_media_type', `The body is ${type}; wanted application/json`)
  return parseJson(event.isBase64Encoded ? Buffer.from(event.body, 'base64').toString('utf8') : event.body)
}
