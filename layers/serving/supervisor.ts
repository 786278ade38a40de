import { ServingFault } from './fault.ts'
import { type Instance, type InstanceReply, type InstanceRequest, startInstance } from './instance.ts'
import type { ModelFacts, ModelOptions } from './model-server.ts'

export interface SupervisorOptions {
  model: Omit<ModelOptions, 'tier'>
  /** Weights too large to prepack beside serving. */
  swap_tiers: boolean
  /** Empty folder. */
  cwd: string
  timeout_ms: number
}

/** One model process for a server of its own: started, swapped to its second tier, replaced when it dies or computes too long. */
export interface Supervisor {
  readonly facts: ModelFacts | undefined
  readonly instance: Instance | undefined
  call(request: InstanceRequest, done: (error: Error | undefined, reply: InstanceReply | undefined) => void): void
  close(): Promise<void>
}

const look_every_ms = 100
const restart_after_ms = 250

/** Resolves when the model answered its probe run. Fails with the model's fault when it cannot be opened at all. */
export const supervise = async (options: SupervisorOptions): Promise<Supervisor> => {
  let facts: ModelFacts | undefined
  let current: Instance | undefined
  let closed = false

  const open = async (tier: ModelOptions['tier']): Promise<Instance> => {
    const instance = startInstance(options.cwd)
    try {
      facts = await instance.open({ ...options.model, tier })
    } catch (error) {
      instance.kill('it could not open the model')
      throw error
    }
    void instance.exited.then(() => {
      if (current !== instance) return
      current = undefined
      void restart()
    })
    return instance
  }
  const restart = async (): Promise<void> => {
    if (closed || current) return
    await open('two_tiers').then(
      (instance) => {
        current = instance
      },
      () => setTimeout(() => void restart(), restart_after_ms).unref(),
    )
  }
  const swap = async (): Promise<void> => {
    const next = await open('second_tier')
    const previous = current
    current = next
    const finish = setInterval(() => {
      if (!previous || previous.in_flight > 0) return
      clearInterval(finish)
      previous.kill('it was replaced')
    }, look_every_ms)
  }

  current = await open(options.swap_tiers ? 'first_tier' : 'two_tiers')
  if (options.swap_tiers) void swap().catch(() => undefined)
  const watch = setInterval(() => {
    if (current && current.in_flight > 0 && performance.now() - current.progress_at > options.timeout_ms)
      current.kill(`it did not answer within ${options.timeout_ms / 1000} s`)
  }, look_every_ms).unref()

  return {
    get facts() {
      return current ? facts : undefined
    },
    get instance() {
      return current
    },
    call: (request, done) => {
      if (current) current.call(request, done)
      else done(new ServingFault(503, 'deployment_unavailable', 'the model process is being replaced'), undefined)
    },
    close: async () => {
      closed = true
      clearInterval(watch)
      const last = current
      current = undefined
      last?.kill('the server stops')
      await last?.exited
    },
  }
}
