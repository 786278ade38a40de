import { PlatformError } from '../../core/contract/errors.ts'
import { type Member, measureMemory } from './member.ts'
import type { Ticket } from './ticket.ts'

export interface Overseen {
  timeout_ms: number
  memory_limit_bytes: number
  /** `min_instances`: never retired. */
  kept: number
  max_instances: number
  members: readonly Member[]
  /** In order of their deadlines. */
  tickets: ReadonlySet<Ticket>
  queued(): number
  starting(): number
  scaleOut(): void
  retire(member: Member): void
  log(event: string, facts: Record<string, unknown>): void
}

const look_every_ms = 50
/** Idle processes are measured at every twentieth look. */
const slow_looks = 20
/** Queueing must last this many looks, so that one burst does not start a process. */
const patience_looks = 4
const surplus_idle_ms = 30_000
/** A deployment without kept-warm instances lets its last process go after this; a spare makes the next start cheap. */
const last_idle_ms = 300_000

const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`

/** Enforces time and memory limits on the processes of a pool, from outside them, and says when there are too few or too many. */
export const overseer = (pool: Overseen): { stop(): void } => {
  let looks = 0
  let crowded = 0

  const expireTickets = (now_ms: number): void => {
    for (const ticket of pool.tickets) {
      if (ticket.deadline_ms > now_ms) break
      ticket.cancelSent?.()
      ticket.reject(
        new PlatformError(
          'timeout',
          `The model did not answer within ${pool.timeout_ms / 1000} s (resource_requirements.timeout)`,
        ),
      )
      const { member } = ticket
      // A process that answers others is only busy; one that has answered nobody for the whole limit is stuck.
      if (member && !member.retiring && now_ms - member.instance.progress_at >= pool.timeout_ms * 0.98) {
        member.counts_as_crash = false
        member.instance.kill(`it did not answer within ${pool.timeout_ms / 1000} s (resource_requirements.timeout)`)
      }
    }
  }

  const watchMemory = async (member: Member): Promise<void> => {
    await measureMemory(member)
    if (member.memory_bytes <= pool.memory_limit_bytes) return
    const reason = `it used ${megabytes(member.memory_bytes)} of memory, ${megabytes(pool.memory_limit_bytes)} are allowed (resource_requirements.memory)`
    member.instance.kill(reason)
  }

  const scale = (now_ms: number): void => {
    const serving = pool.members.filter(({ retiring }) => !retiring)
    const outstanding = pool.queued() + serving.reduce((sum, { instance }) => sum + instance.in_flight, 0)
    const capacity = serving.reduce((sum, { batch_limit }) => sum + batch_limit + 1, 0)
    crowded = outstanding > capacity ? crowded + 1 : 0
    if (crowded >= patience_looks && serving.length > 0 && pool.starting() === 0 && serving.length < pool.max_instances) {
      crowded = 0
      pool.log('scale_out', { instances: serving.length + 1, outstanding })
      pool.scaleOut()
    }
    if (serving.length <= pool.kept || pool.starting() > 0) return
    const idle_ms = serving.length > 1 ? surplus_idle_ms : last_idle_ms
    const idle = serving.findLast(({ instance, idle_since_ms }) => instance.in_flight === 0 && now_ms - idle_since_ms > idle_ms)
    if (!idle) return
    pool.log('scale_in', { instances: serving.length - 1 })
    pool.retire(idle)
  }

  const look = (): void => {
    const now_ms = performance.now()
    looks += 1
    expireTickets(now_ms)
    for (const member of pool.members) if (member.instance.in_flight > 0 || looks % slow_looks === 0) void watchMemory(member)
    scale(now_ms)
  }
  const timer = setInterval(look, look_every_ms).unref()
  return { stop: () => clearInterval(timer) }
}
