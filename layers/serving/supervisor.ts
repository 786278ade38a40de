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
  /** The first process, where one was started while the model was still on its way. */
  first?: Instance
  /** How long the second tier lets the first requests have the machine to themselves; default 0. */
  swap_after_ms?: number
}

/** One model process for a server of its own: started, swapped to its second tier, replaced when it dies or computes too long. */
export interface Supervisor {
  readonly facts: ModelFacts | undefined
  readonly instance: Instance | undefined
  /** Resolves when a process holds the model: at once, or when the one being replaced has a successor. */
  whenReady(): Promise<void>
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
  let first = options.first
  let waiting: (() => void)[] = []

  const stands = (instance: Instance): void => {
    current = instance
    const woken = waiting
    waiting = []
    for (const wake of woken) wake()
  }
  const open = async (tier: ModelOptions['tier']): Promise<Instance> => {
    const instance = first ?? startInstance(options.cwd)
    first = undefined
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
      (instance) => (closed ? instance.kill('the server stops') : stands(instance)),
      () => setTimeout(() => void restart(), restart_after_ms).unref(),
    )
  }
  const swap = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, options.swap_after_ms ?? 0))
    const next = await open('second_tier')
    if (closed) return next.kill('the server stops')
    const previous = current
    stands(next)
    const finish = setInterval(() => {
      if (!previous || previous.in_flight > 0) return
      clearInterval(finish)
      previous.kill('it was replaced')
    }, look_every_ms)
  }

  stands(await open(options.swap_tiers ? 'first_tier' : 'two_tiers'))
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
    whenReady: () => (current ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
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
