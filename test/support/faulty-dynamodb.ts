import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { clientSettings } from '../../layers/aws/client-settings.ts'
import type { Emulator } from './emulators.ts'

/**
 * What becomes of one call. `throttle` and `fail` refuse before the work is done, `hang` neither works nor answers; `lose` does the work and
 * cuts the connection, `fail_late` does it and answers 500, `late` does it and never answers: the caller cannot know.
 */
export const faults = ['throttle', 'fail', 'hang', 'lose', 'fail_late', 'late'] as const
export type Fault = (typeof faults)[number]
export type Decide = (operation: string, number: number) => Fault | undefined

export interface FaultyDynamodb extends Emulator {
  /** Decides for each call by its operation and how many came before it; `undefined` passes it on. */
  misbehave(decide: Decide): void
  /** Operations since the last `misbehave`, repeats of the SDK included. */
  calls: string[]
}

const json = { 'content-type': 'application/x-amz-json-1.0' }
const errors = {
  throttle: [400, { __type: 'com.amazonaws.dynamodb.v20120810#ThrottlingException', message: 'Rate exceeded' }],
  fail: [500, { __type: 'com.amazonaws.dynamodb.v20120810#InternalServerError', message: 'Internal server error' }],
} as const

/** Stands before a DynamoDB emulator and misbehaves on order. */
export const faultyDynamodb = async (behind: Emulator): Promise<FaultyDynamodb> => {
  let decide: Decide = () => undefined
  const calls: string[] = []
  const forward = async (request: IncomingMessage): Promise<{ status: number; text: string }> => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    const kept = ['content-type', 'x-amz-target', 'authorization', 'x-amz-date'].map((name): [string, string] => [
      name,
      String(request.headers[name]),
    ])
    const reply = await fetch(behind.endpoint, { method: 'POST', body: Buffer.concat(pieces), headers: Object.fromEntries(kept) })
    return { status: reply.status, text: await reply.text() }
  }
  const server = createServer(async (request, reply) => {
    const operation = String(request.headers['x-amz-target']).split('.').at(-1) ?? ''
    const fault = decide(operation, calls.push(operation) - 1)
    const refuse = ([status, body]: (typeof errors)[keyof typeof errors]) =>
      reply.writeHead(status, json).end(JSON.stringify(body))
    if (fault === 'hang') return
    if (fault === 'throttle' || fault === 'fail') {
      request.resume()
      refuse(errors[fault])
      return
    }
    try {
      const { status, text } = await forward(request)
      if (fault === 'fail_late') refuse(errors.fail)
      else if (fault === undefined) reply.writeHead(status, json).end(text)
      else if (fault === 'lose') request.socket.destroy()
    } catch {
      request.socket.destroy()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    misbehave: (next) => {
      calls.length = 0
      decide = next
    },
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await behind.stop()
    },
  }
}

/** As many tries as the platform's clients make and of the same errors, but without the waits between them. */
export const hastyRetries = {
  mode: 'standard',
  acquireInitialRetryToken: async () => tokenOf(0),
  refreshRetryTokenForRetry: async (token: { getRetryCount(): number }, { errorType }: { errorType: string }) => {
    const tried = token.getRetryCount() + 1
    if (tried >= clientSettings.maxAttempts || errorType === 'CLIENT_ERROR') throw new Error('no more tries')
    return tokenOf(tried)
  },
  recordSuccess: () => undefined,
}
const tokenOf = (tried: number) => ({ getRetryCount: () => tried, getRetryDelay: () => 0, getRetryCost: () => 0 })

/** A client with the platform's settings, its waits and limits shortened to milliseconds. */
export const hastyDynamoClient = (endpoint: string, requestTimeout = 80): DynamoDBDocumentClient =>
  DynamoDBDocumentClient.from(
    new DynamoDBClient({
      ...clientSettings,
      endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      requestHandler: { ...clientSettings.requestHandler, requestTimeout },
      retryStrategy: hastyRetries,
    }),
  )
