import { once } from 'node:events'
import { createServer, type IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { callUrl, invoke, invokeStream } from './lambda-cloud/calls.ts'
import { iam, iamFault, iamReply } from './lambda-cloud/iam.ts'
import { jsonServices } from './lambda-cloud/json-services.ts'
import { lambdaApi } from './lambda-cloud/lambda-api.ts'
import { CloudFault, type CloudOptions, type CloudState, emptyState } from './lambda-cloud/state.ts'

/** How a call goes wrong: refused before it does anything, or done and its answer lost. */
export type Misfortune = 'throttle' | 'error' | 'lost'

export interface LambdaCloud {
  endpoint: string
  state: CloudState
  options: CloudOptions
  /** Actions in the order they came, e.g. `CreateFunction`. */
  calls: string[]
  /** Decides the fate of each call; reset to none at will. */
  misfortune: (action: string, at: number) => Misfortune | undefined
  stop(): Promise<void>
}

/**
 * Lambda, IAM, CloudWatch, Logs, Application Auto Scaling and tagging on loopback, as far as deployments use them: real state, the
 * services' checks and refusals, work that takes some looks to finish, misfortunes on order.
 */
export const startLambdaCloud = async (changes: Partial<CloudOptions> = {}): Promise<LambdaCloud> => {
  const options: CloudOptions = {
    account: '123456789012',
    region: 'us-east-1',
    concurrency: 1000,
    code: new Set(),
    layers: new Set(),
    looks: 1,
    role_delay: 1,
    run: async () => ({ ready: true, revision: 1 }),
    ...changes,
  }
  const cloud: LambdaCloud = {
    endpoint: '',
    state: emptyState(),
    options,
    calls: [],
    misfortune: () => undefined,
    stop: async () => undefined,
  }
  const server = createServer((request, response) => {
    answer(cloud, request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  cloud.endpoint = `http://127.0.0.1:${port}`
  cloud.stop = async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return cloud
}

const answer = async (cloud: LambdaCloud, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const bytes = await buffer(request)
  if (request.url?.startsWith('/url/')) return callUrl(cloud.state, cloud.options, request, bytes, response)
  const asked = askedFor(cloud, request, bytes)
  const at = cloud.calls.push(asked.action) - 1
  const fate = cloud.misfortune(asked.action, at)
  try {
    if (fate === 'throttle') throw new CloudFault('ThrottlingException', 429, 'Rate exceeded')
    if (fate === 'error') throw new CloudFault('InternalFailure', 500, 'An internal error occurred')
    // What is lost is done all the same, for nobody.
    const reply = await asked.run(fate === 'lost' ? new ServerResponse(request) : response)
    if (fate === 'lost') return void response.destroy()
    if (reply) response.writeHead(reply.status, reply.headers).end(reply.body)
  } catch (error) {
    if (!(error instanceof CloudFault)) throw error
    if (fate === 'lost') return void response.destroy()
    asked.refuse(response, error)
  }
}

interface Reply {
  status: number
  headers: Record<string, string>
  body: string
}

interface Asked {
  action: string
  /** Undefined when it has answered by itself. */
  run(response: ServerResponse): Promise<Reply | undefined>
  refuse(response: ServerResponse, fault: CloudFault): void
}

const json = (status: number, body: unknown): Reply => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: body === undefined ? '' : JSON.stringify(body),
})

const askedFor = (cloud: LambdaCloud, request: IncomingMessage, bytes: Buffer): Asked => {
  const target = request.headers['x-amz-target']
  if (typeof target === 'string') return askedJson(cloud, target, bytes)
  if (request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')) return askedForm(cloud, bytes)
  return askedRest(cloud, request, bytes)
}

const askedJson = ({ state, options }: LambdaCloud, target: string, bytes: Buffer): Asked => {
  const [service = '', action = ''] = target.split('.')
  const run = jsonServices[service]?.[action]
  return {
    action,
    run: async () => {
      if (!run) throw new CloudFault('UnknownOperationException', 404, target)
      return json(200, run(state, JSON.parse(bytes.toString()), options))
    },
    refuse: (response, { code, status, message }) =>
      void response
        .writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
        .end(JSON.stringify({ __type: code, message })),
  }
}

const askedForm = ({ state, options }: LambdaCloud, bytes: Buffer): Asked => {
  const form = new URLSearchParams(bytes.toString())
  const action = form.get('Action') ?? ''
  return {
    action,
    run: async () => {
      const run = iam[action]
      if (!run) throw new CloudFault('InvalidAction', 400, action)
      return { status: 200, headers: { 'content-type': 'text/xml' }, body: iamReply(action, run(state, form, options)) }
    },
    refuse: (response, fault) => void response.writeHead(fault.status, { 'content-type': 'text/xml' }).end(iamFault(fault)),
  }
}

const askedRest = (cloud: LambdaCloud, request: IncomingMessage, bytes: Buffer): Asked => {
  const { state, options, endpoint: origin } = cloud
  const { pathname, searchParams: query } = new URL(request.url ?? '/', origin)
  const [, date = '', , name = '', verb = '', inner = ''] = pathname.replace(/\/$/, '').split('/').map(decodeURIComponent)
  const key = [date, 'functions', ...(name ? [':'] : []), ...(verb ? [verb] : []), ...(inner ? [':'] : [])].join('/')
  const found = pathname.includes('account-settings')
    ? lambdaApi['GET /2016-08-19/account-settings']
    : lambdaApi[`${request.method} /${key}`]
  const qualifier = query.get('Qualifier') ?? '$LATEST'
  const refuse: Asked['refuse'] = (response, { code, status, message }) =>
    void response
      .writeHead(status, { 'x-amzn-errortype': code, 'content-type': 'application/json' })
      .end(JSON.stringify({ Message: message, Type: 'User' }))
  const streams = {
    invocations: ['Invoke', invoke],
    'response-streaming-invocations': ['InvokeWithResponseStream', invokeStream],
  } as const
  if (verb in streams) {
    const [action, call] = streams[verb as keyof typeof streams]
    return { action, refuse, run: async (response) => void (await call(state, options, name, qualifier, bytes, response)) }
  }
  return {
    action: found?.action ?? `${request.method} ${pathname}`,
    refuse,
    run: async () => {
      if (!found) throw new CloudFault('UnknownOperationException', 404, `${request.method} ${key}`)
      const body: unknown = bytes.length === 0 ? {} : JSON.parse(bytes.toString())
      const reply = found.run({ state, options, origin, name, inner, query, body })
      return { ...json(reply.status, reply.body) }
    },
  }
}
