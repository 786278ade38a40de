import { Readable } from 'node:stream'
import middy from '@middy/core'
import { executionModeStreamifyResponse } from '@middy/core/executionModeStreamifyResponse'
import type { APIGatewayProxyEvent } from 'aws-lambda'
import { app } from '#app'
import { corsHeaders } from './cors.ts'
import { rowKey } from './dispatch.ts'
import { flushAtEnd, flushAtExit } from './flush-at-end.ts'
import type { RawCall, StreamHandler } from './stream.ts'

/** The streaming routes of one Lambda behind API Gateway's response streaming. What was metered is written after the answer has gone out. */
export const dispatchStream = (handlers: readonly StreamHandler[]) => {
  const byRow = new Map(handlers.map((handler) => [rowKey(handler.id), handler]))
  const answer = async (event: APIGatewayProxyEvent) => {
    const handler = byRow.get(`${event.httpMethod} ${event.resource}`)
    if (handler === undefined) throw new Error(`This function does not serve ${event.httpMethod} ${event.resource}`)
    const reply = await handler(rawCall(event))
    // The stream writer takes strings and streams; a Buffer throws.
    const body = reply.body instanceof Uint8Array ? Readable.from([reply.body]) : reply.body
    return {
      statusCode: reply.status,
      headers: { ...reply.headers, ...corsHeaders(event.headers, app.config.cors_origins) },
      body,
    }
  }
  flushAtExit(app)
  return middy(answer, { executionMode: executionModeStreamifyResponse, requestEnd: flushAtEnd(app) })
}

const rawCall = (event: APIGatewayProxyEvent): RawCall => ({
  method: event.httpMethod,
  path: event.path,
  params: strings(event.pathParameters),
  query: strings(event.queryStringParameters),
  headers: Object.fromEntries(Object.entries(strings(event.headers)).map(([name, value]) => [name.toLowerCase(), value])),
  body: Readable.from([Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8')]),
  source_ip: event.requestContext.identity.sourceIp,
  request_id: event.requestContext.requestId,
  signal: new AbortController().signal,
})

const strings = (values: Record<string, string | undefined> | null): Record<string, string> =>
  Object.fromEntries(Object.entries(values ?? {}).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
