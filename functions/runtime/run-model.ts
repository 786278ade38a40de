import { PlatformError } from '../../layers/core/contract/errors.ts'
import { ServingFault } from '../../layers/serving/fault.ts'
import type { InstanceReply } from '../../layers/serving/instance.ts'
import { residentBytes } from '../../layers/serving/resident.ts'
import type { ModelRequest } from './call.ts'
import type { LoadedModel } from './model.ts'

export interface ModelAnswer {
  reply: InstanceReply
  /** Of the model process. */
  memory_bytes: number
}

/**
 * One run of the model. A process that dies is replaced and the call repeated once, since nothing of its answer left; one that computes
 * past the deadline is killed, and the next call gets a fresh one. Fails with `timeout`, or with the model's fault.
 */
export const runModel = async (
  { supervisor, name }: LoadedModel,
  request: ModelRequest,
  deployment_id: string,
  deadline_ms: number,
): Promise<ModelAnswer> => {
  const call = { ...request, path: namedPath(request.path, deployment_id, name), body: [request.body] }
  for (let attempt = 1; ; attempt++) {
    await before(deadline_ms, supervisor.whenReady())
    const { instance } = supervisor
    if (!instance?.alive) {
      // Its death is known here before the supervisor has heard of it.
      await instance?.exited
      continue
    }
    const { promise, resolve, reject } = Promise.withResolvers<InstanceReply>()
    let late = false
    const end = (): void => {
      late = true
      instance.kill('it did not answer in time')
    }
    const timer = setTimeout(end, Math.max(0, deadline_ms - performance.now()))
    instance.call(call, (error, reply) => (reply ? resolve(reply) : reject(error)))
    try {
      const reply = await promise
      return { reply, memory_bytes: residentBytes(instance.pid) }
    } catch (error) {
      if (late) throw timedOut()
      if (attempt > 1 || !(error instanceof ServingFault) || error.code !== 'model_crashed') throw error
    } finally {
      clearTimeout(timer)
    }
  }
}

const timedOut = (): PlatformError =>
  new PlatformError('timeout', 'The model did not answer within the time limit of this deployment')

const before = async (deadline_ms: number, work: Promise<void>): Promise<void> => {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(timedOut()), Math.max(0, deadline_ms - performance.now()))
  await Promise.race([work, promise]).finally(() => clearTimeout(timer))
}

/** The protocol's model name is the deployment's; its id is accepted in the same place. */
const namedPath = (path: string, id: string, name: string): string => {
  const by_id = `/v2/models/${id}`
  const rest = path.startsWith(by_id) ? path.slice(by_id.length) : undefined
  return rest === '' || rest?.startsWith('/') ? `/v2/models/${encodeURIComponent(name)}${rest}` : path
}
