import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda'
import { app } from '#app'
import { type RouteId, routes } from '../../layers/core/contract/routes.ts'
import { corsHeaders } from './cors.ts'
import type { RouteHandler } from './http.ts'

type LambdaHandler = (event: APIGatewayProxyEvent, context: object) => Promise<APIGatewayProxyResult>

/** One Lambda's routes. API Gateway names the matched resource, so the row is found by name and no path is matched twice. */
export const dispatch = (handlers: readonly RouteHandler[]): LambdaHandler => {
  const byRow = new Map(handlers.map((handler) => [rowKey(handler.id), handler]))
  return async (event, context) => {
    const handler = byRow.get(`${event.httpMethod} ${event.resource}`)
    if (handler === undefined) throw new Error(`This function does not serve ${event.httpMethod} ${event.resource}`)
    const reply = await handler(event, context)
    return { ...reply, headers: { ...reply.headers, ...corsHeaders(event.headers, app.config.cors_origins) } }
  }
}

export const rowKey = (id: RouteId): string => `${routes[id].method} ${routes[id].path}`
