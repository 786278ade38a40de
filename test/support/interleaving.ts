import { vi } from 'vitest'
import { isPlatformError, PlatformError } from '../../layers/core/contract/errors.ts'
import type { JsonObject } from '../../layers/core/domain/json.ts'
import type { Deployer } from '../../layers/core/ports/deployer.ts'
import type { Records } from '../../layers/core/ports/records.ts'
import type { ExecutionStatus, Step, Workflows } from '../../layers/core/ports/workflows.ts'

/** Mulberry32: the same seed gives the same run. */
export const seeded = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Decides who goes next. What waits at a gate goes on when the seed says so; time passes only when nobody can go on. */
export interface Scheduler {
  /** Waits to be let through; half of the gates stand open. */
  gate(): Promise<void>
  /** Lets everything run until the work is done, or until nothing moves any more. */
  run(work: Promise<unknown>): Promise<'done' | 'stuck'>
}

const QUIET_TURNS = 3
/** A commit of the store takes some turns of its own. */
const STUCK_TURNS = 40
const MOST_TURNS = 20_000

export const scheduler = (random: () => number): Scheduler => {
  const waiting: (() => void)[] = []
  const letOneGo = () => {
    const [go] = waiting.splice(Math.floor(random() * waiting.length), 1)
    go?.()
  }
  return {
    gate: () => (random() < 0.5 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    run: async (work) => {
      let done = false
      const finish = () => {
        done = true
      }
      work.then(finish, finish)
      let quiet = 0
      for (let turns = 0; turns < MOST_TURNS; turns += 1) {
        await turn()
        if (done) return 'done'
        if (waiting.length > 0) {
          quiet = 0
          letOneGo()
          continue
        }
        quiet += 1
        if (quiet <= QUIET_TURNS) continue
        if (vi.getTimerCount() > 0) vi.advanceTimersToNextTimer()
        else if (quiet > STUCK_TURNS) return 'stuck'
      }
      return 'stuck'
    },
  }
}

/** A process as far as its ports go: everything passes gates, and after its death nothing comes back. */
export interface Process {
  records: Records
  /** Called before and after each verb of the deployer. */
  pause(): Promise<void>
  kill(): void
  writes: number
}

const never = new Promise<never>(() => {})

/** `dies_after` writes it is dead: the next call of any port never returns. */
export const processOver = (records: Records, schedule: Scheduler, dies_after = Number.POSITIVE_INFINITY): Process => {
  let dead = false
  const alive = async () => {
    await schedule.gate()
    if (dead) await never
  }
  const self: Process = {
    writes: 0,
    kill: () => {
      dead = true
    },
    pause: alive,
    records: {
      get: async (key) => {
        await alive()
        return records.get(key)
      },
      query: async (query) => {
        await alive()
        return records.query(query)
      },
      write: async (operations) => {
        await alive()
        if (self.writes >= dies_after) dead = true
        if (dead) await never
        self.writes += 1
        const versions = await records.write(operations)
        await alive()
        return versions
      },
    },
  }
  return self
}

/** Executions that outlive a process in `kept`; steps run through the ports of the process, three tries each, the last always. */
export const scheduledWorkflows = (
  kept: Map<string, { input: JsonObject; status: ExecutionStatus }>,
  steps: () => Map<string, Step>,
): Workflows & { resume(): void } => {
  const context = (execution_id: string) => ({
    execution_id,
    cancelled: async () => false,
    signal: new AbortController().signal,
  })
  const attempt = async (id: string, input: JsonObject): Promise<JsonObject | undefined> => {
    for (let tries = 1; ; tries += 1) {
      try {
        await steps().get('deploy-revision')?.(input, context(id))
        return undefined
      } catch (error) {
        const detail = error instanceof Error ? error.message : String(error)
        if (tries === 3 || (isPlatformError(error) && error.status < 500)) return { code: 'internal', detail }
      }
    }
  }
  const run = async (id: string, input: JsonObject): Promise<void> => {
    const failure = await attempt(id, input)
    await steps().get('settle-deployment')?.({ ...input, execution_id: id, ...(failure && { failure }) }, context(id))
    kept.set(id, { input, status: { state: failure ? 'failed' : 'succeeded' } })
  }
  return {
    start: async (_pipeline, id, input) => {
      if (kept.has(id)) return
      kept.set(id, { input, status: { state: 'running' } })
      void run(id, input)
    },
    status: async (_pipeline, id) => kept.get(id)?.status,
    cancel: async () => undefined,
    resume: () => {
      for (const [id, { input, status }] of kept) if (status.state === 'running') void run(id, input)
    },
  }
}

/** The deployer behind the gates of a process. */
export const gatedDeployer = (deployer: Deployer, { pause }: Process, fails: () => boolean): Deployer => {
  const gated =
    <Input, Answer>(verb: (input: Input) => Promise<Answer>) =>
    async (input: Input): Promise<Answer> => {
      const answer = await verb(input)
      await pause()
      if (fails()) throw new Error('the deployer had a bad moment')
      return answer
    }
  return {
    ...deployer,
    deploy: gated(deployer.deploy),
    activate: gated(deployer.activate),
    hibernate: gated(deployer.hibernate),
    undeploy: gated(deployer.undeploy),
  }
}

/** `ok`, the code of the refusal, or what was thrown instead. */
export const outcomeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    (error: unknown) => (error instanceof PlatformError ? error.code : `thrown ${String(error)}`),
  )
