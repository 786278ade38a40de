import type { Readable } from 'node:stream'
import { isPlatformError, notFound, PlatformError } from '../contract/errors.ts'
import type { Deployment } from '../domain/deployment.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import type { DeployTarget, InferenceReply } from '../ports/deployer.ts'
import { answerHealth } from './answer-health.ts'
import { deployerOf } from './check-deployable.ts'
import { type DeploymentMemory, forget, memoryOf } from './deployment-memory.ts'
import type { DriveApp } from './drive-deployment.ts'
import { cachedDeployment, findCachedDeployment } from './find-cached-deployment.ts'
import { errorSample, meterReply } from './meter-inference.ts'
import { targetOf } from './resolve-model.ts'
import { isServing, wakeDeployment } from './wake-deployment.ts'

export type InferApp = DriveApp & Pick<App, 'meter'>

export interface InferenceCall {
  deployment_id: string
  method: string
  /** Percent-encoded as it came, what follows `/inference`: `` or `/v2/models/m/infer`. */
  path: string
  headers: Record<string, string>
  body: Uint8Array | Readable
  request_id: string
  signal?: AbortSignal
}

/** What follows `/inference` in a request's path; no deployment id contains it. */
export const belowEndpoint = (path: string): string => path.slice(path.indexOf('/inference') + '/inference'.length)

export type InferenceAnswer = Omit<InferenceReply, 'usage'>

/**
 * One call of a deployment's endpoint. Primary course: the deployment comes from memory, the deployer answers, the call is metered;
 * nothing is read or written. A sleeping deployment is woken first, by one of all that ask. `principal` is undefined where the
 * endpoint needs no token. Fails with `not_found` for unknown, foreign and deleted deployments, `deployment_waking`,
 * `deployment_unavailable`, and with what the deployer fails with. Health checks neither wake nor count.
 */
export const inferDeployment = async (
  app: InferApp,
  principal: Pick<Principal, 'organization_id'> | undefined,
  call: InferenceCall,
): Promise<InferenceAnswer> => {
  const started_ms = performance.now()
  const { deployment } = cachedDeployment(app, call.deployment_id) ?? (await findCachedDeployment(app, call.deployment_id))
  if (deployment === undefined || deployment.status === 'deleted') throw notFound('Deployment', call.deployment_id)
  assertCaller(deployment, principal)
  const health = answerHealth(deployment, call)
  if (health !== undefined) return health
  const memory = memoryOf(app)
  enter(memory, deployment.id)
  const context = { deployment, started_ms, request_headers: call.headers, request_body: call.body }
  try {
    const served = await serve(app, memory, deployment, call)
    const is_metered = deployerOf(app, served.deployment.deployment_type).capabilities.meters_itself === true
    return meterReply(app, { ...context, ...served, is_metered }, () => leave(memory, deployment.id))
  } catch (error) {
    app.meter.record(errorSample(app, context))
    leave(memory, deployment.id)
    throw error
  }
}

const assertCaller = (deployment: Deployment, principal: Pick<Principal, 'organization_id'> | undefined): void => {
  if (deployment.endpoint_auth === 'none') return
  if (principal === undefined) throw new PlatformError('unauthenticated', 'This endpoint needs a token or an API key')
  if (principal.organization_id !== deployment.organization_id) throw notFound('Deployment', deployment.id)
}

const enter = (memory: DeploymentMemory, id: string): void => {
  memory.in_flight.set(id, (memory.in_flight.get(id) ?? 0) + 1)
}

const leave = (memory: DeploymentMemory, id: string): void => {
  const left = (memory.in_flight.get(id) ?? 1) - 1
  if (left > 0) memory.in_flight.set(id, left)
  else memory.in_flight.delete(id)
}

/** A call whose reply is on its way, and which deployment, in which revision, gave it. */
export interface Served {
  deployment: Deployment
  reply: InferenceReply
  /** Microseconds this very call spent starting the deployment, else 0. */
  woke_us: number
}

/**
 * Calls the deployer with the deployment as it is at that instant. Between the look into memory and the call nothing is awaited, so
 * within one process a deleted or sleeping deployment is never invoked; across processes the deployer's refusal leads to another look.
 */
const serve = async (app: InferApp, memory: DeploymentMemory, first: Deployment, call: InferenceCall): Promise<Served> => {
  const until_ms = app.now().getTime() + waitOf(app, call.headers)
  let woke_us = 0
  let refused: Deployment | undefined
  for (;;) {
    const deployment = await current(app, first.id)
    if (!isServing(deployment)) {
      const asked_ms = performance.now()
      const woken = await wakeDeployment(app, deployment, until_ms - app.now().getTime(), call.signal)
      if (woken.started) woke_us += Math.round((performance.now() - asked_ms) * 1000)
      continue
    }
    const target = await targetOf(app, deployment)
    if (cachedDeployment(app, first.id)?.deployment !== deployment) continue
    try {
      return { deployment, woke_us, reply: await invoke(app, target, call) }
    } catch (error) {
      if (!isRefusal(error) || isSame(refused, deployment) || isUsedUp(call.body)) throw error
      refused = deployment
      forget(memory, first.id)
    }
  }
}

/** From memory, else read; the read is shared by all who want it. */
const current = async (app: InferApp, id: string): Promise<Deployment> => {
  const { deployment } = cachedDeployment(app, id) ?? (await findCachedDeployment(app, id))
  if (deployment === undefined || deployment.status === 'deleted') throw notFound('Deployment', id)
  return deployment
}

const invoke = (app: InferApp, target: DeployTarget, call: InferenceCall): Promise<InferenceReply> =>
  deployerOf(app, target.deployment.deployment_type).infer(target, {
    method: call.method === 'GET' ? 'GET' : 'POST',
    path: namedPath(target.deployment, call.path),
    headers: shownHeaders(call.headers),
    body: call.body,
    request_id: call.request_id,
    ...(call.signal === undefined ? {} : { signal: call.signal }),
  })

/** The protocol's model name is the deployment's; its id is accepted in the same place. */
const namedPath = ({ id, name }: Deployment, path: string): string => {
  const by_id = `/v2/models/${id}`
  if (!path.startsWith(by_id)) return path
  const rest = path.slice(by_id.length)
  return rest === '' || rest.startsWith('/') ? `/v2/models/${encodeURIComponent(name)}${rest}` : path
}

const secretHeaders = new Set(['authorization', 'x-api-key', 'cookie', 'proxy-authorization'])

/** What proves the caller is never shown to a model or to a deployer. */
const shownHeaders = (headers: Record<string, string>): Record<string, string> => {
  const shown: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined && !secretHeaders.has(name)) shown[name] = value
  }
  return shown
}

/** The deployer has no such deployment, or not any more: our picture of it may be old. */
const isRefusal = (error: unknown): boolean =>
  isPlatformError(error, 'not_found') ||
  isPlatformError(error, 'deployment_unavailable') ||
  isPlatformError(error, 'deployment_waking')

/** Nothing changed since the refusal before: the deployer means it. */
const isSame = (before: Deployment | undefined, now: Deployment): boolean =>
  before !== undefined &&
  before.status_since === now.status_since &&
  before.revision === now.revision &&
  before.status === now.status

const isUsedUp = (body: Uint8Array | Readable): boolean => !(body instanceof Uint8Array) && body.readableDidRead

/** Milliseconds this call waits for a sleeper: the platform's limit or a shorter `X-Scale-Up-Timeout` in seconds. */
const waitOf = (app: InferApp, headers: Record<string, string>): number => {
  const wanted = headers['x-scale-up-timeout']
  if (wanted === undefined) return app.config.wake_wait_ms
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(wanted)) {
    const detail = `got ${JSON.stringify(wanted.slice(0, 40))}, wanted seconds, e.g. 5 or 0.5`
    throw new PlatformError('invalid_request', `X-Scale-Up-Timeout: ${detail}`, {
      errors: [{ pointer: 'header/x-scale-up-timeout', detail }],
    })
  }
  return Math.min(app.config.wake_wait_ms, Number(wanted) * 1000)
}
