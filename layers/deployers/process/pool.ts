import { PlatformError } from '../../core/contract/errors.ts'
import type { Log } from '../../core/ports/log.ts'
import { crashLoop } from './crash-loop.ts'
import { platformError } from './faults.ts'
import type { ModelCall, ModelInstance, ModelOpening } from './instance.ts'
import { type Member, openMember } from './member.ts'
import { overseer } from './overseer.ts'
import { makeTicket, type PoolAnswer, type Ticket } from './ticket.ts'

export interface PoolOptions {
  deployment_id: string
  opening: Omit<ModelOpening, 'tier'>
  /** Too large to prepack beside serving: a second process does it and takes over. */
  swap_tiers: boolean
  min_instances: number
  max_instances: number
  timeout_ms: number
  memory_limit_bytes: number
  /** Calls given to one process at a time; it batches what it has. */
  window: number
  /** Calls waiting beyond that; more are refused. */
  max_queue: number
  start_timeout_ms: number
  take(): ModelInstance
  log: Log
  on_failed(reason: string): void
}

export interface Pool {
  /** Brings the kept-warm processes up, at least one. Concurrent calls share one start. */
  start(purpose: 'deploy' | 'activate'): Promise<void>
  call(call: ModelCall, signal: AbortSignal | undefined): Promise<PoolAnswer>
  /** Calls in flight finish, new ones are refused, then every process ends. */
  drain(reason: string): Promise<void>
  status(): { ready: boolean; instances: number; memory_bytes: number; outstanding: number; failed: string | undefined }
}

const swap_after_ms = 300
const replace_after_ms = 250
const crash_limit = 5
const crash_window_ms = 60_000

/** The processes of one revision of one deployment: dispatch, scaling, limits, replacement. */
export const createPool = (options: PoolOptions): Pool => {
  const { log, deployment_id } = options
  const kept = Math.max(1, options.min_instances)
  const members: Member[] = []
  const queue: Ticket[] = []
  const tickets = new Set<Ticket>()
  const loop = crashLoop(crash_limit, crash_window_ms)
  let starting = 0
  let closed: string | undefined
  let failed: string | undefined
  let emptied: (() => void) | undefined

  const usable = (): Member[] => members.filter((member) => !member.retiring && member.instance.alive)

  const finish = (member: Member, reason: string): void => {
    member.retiring = true
    if (member.instance.in_flight === 0) member.instance.kill(reason)
  }

  const send = (ticket: Ticket, member: Member): void => {
    ticket.attempts += 1
    ticket.member = member
    const sent = member.instance.call(ticket.call, (error, reply) => {
      ticket.cancelSent = undefined
      member.idle_since_ms = performance.now()
      if (reply) {
        const init_us = member.init_us
        member.init_us = 0
        ticket.resolve({ reply, cold: init_us > 0, init_us, memory_bytes: member.memory_bytes })
      } else if (!ticket.settled) retry(ticket, platformError(error))
      if (member.retiring && member.instance.in_flight === 0) member.instance.kill('it was replaced')
      else if (queue.length > 0) feed()
    })
    if (!ticket.settled) ticket.cancelSent = sent.cancel
  }

  /** Nothing was sent to the caller yet, so a call whose process died is given to one other process, once. */
  const retry = (ticket: Ticket, error: PlatformError): void => {
    const hopeless = ticket.attempts > 1 || closed !== undefined || failed !== undefined || performance.now() > ticket.deadline_ms
    if (hopeless) {
      ticket.reject(error)
      return
    }
    queue.unshift(ticket)
    setImmediate(feed)
  }

  const idlest = (): Member | undefined => {
    let best: Member | undefined
    for (const member of members) {
      if (member.retiring || !member.instance.alive || member.instance.in_flight >= options.window) continue
      if (!best || member.instance.in_flight < best.instance.in_flight) best = member
    }
    return best
  }

  const feed = (): void => {
    while (queue.length > 0) {
      const member = idlest()
      if (!member) break
      const ticket = queue.shift()!
      if (!ticket.settled) send(ticket, member)
    }
    if (queue.length > 0 && usable().length === 0 && starting === 0) void add('two_tiers', true).catch(() => undefined)
  }

  const fail = (reason: string): void => {
    if (failed !== undefined || closed !== undefined) return
    failed = reason
    log.error('deployment_failed', { deployment_id, reason })
    for (const member of members) member.instance.kill('the deployment failed')
    for (const ticket of [...tickets]) ticket.reject(new PlatformError('deployment_unavailable', reason))
    oversight.stop()
    options.on_failed(reason)
  }

  const buried = (member: Member, how: string): void => {
    const at = members.indexOf(member)
    if (at >= 0) members.splice(at, 1)
    if (member.retiring || closed !== undefined || failed !== undefined) return
    log.warn('instance_died', { deployment_id, how, instances: members.length })
    if (member.counts_as_crash && loop.note(performance.now()))
      fail(`The model process died ${crash_limit} times within a minute, last: ${how}`)
    else replace()
  }

  /** Keeps trying while a kept process is missing; the crash limit ends it. */
  const replace = (): void => {
    if (closed !== undefined || failed !== undefined || usable().length + starting >= kept) return
    add('two_tiers', false).catch(() => setTimeout(replace, replace_after_ms).unref())
  }

  /** Starts one more process. A model that cannot be opened counts as a crash. */
  const add = async (tier: ModelOpening['tier'], counts_as_cold: boolean): Promise<Member> => {
    starting += 1
    try {
      const first = tier === 'two_tiers' && options.swap_tiers ? 'first_tier' : tier
      const member = await openMember(options.take, { ...options.opening, tier: first }, options.start_timeout_ms, counts_as_cold)
      if (closed !== undefined || failed !== undefined) {
        member.instance.kill('the deployment is going away')
        throw new PlatformError('deployment_unavailable', closed ?? failed ?? '')
      }
      members.push(member)
      void member.instance.exited.then((how) => buried(member, how))
      if (first === 'first_tier') setTimeout(() => swap(member), swap_after_ms).unref()
      return member
    } catch (error) {
      const fault = platformError(error)
      if (closed === undefined && failed === undefined && loop.note(performance.now()))
        fail(`The model could not be started: ${fault.message}`)
      if (usable().length === 0 && starting === 1) for (const ticket of queue.splice(0)) ticket.reject(fault)
      throw fault
    } finally {
      starting -= 1
      feed()
    }
  }

  /** Second tier of a large model: a prepacked process takes over from one that only maps its weights. */
  const swap = (first: Member): void => {
    if (first.retiring || closed !== undefined || failed !== undefined || !members.includes(first)) return
    add('second_tier', false).then(
      () => finish(first, 'it was replaced'),
      (error: unknown) => log.warn('second_tier_failed', { deployment_id, error: String(error) }),
    )
  }

  const oversight = overseer({
    timeout_ms: options.timeout_ms,
    memory_limit_bytes: options.memory_limit_bytes,
    kept: options.min_instances,
    max_instances: options.max_instances,
    members,
    tickets,
    queued: () => queue.length,
    starting: () => starting,
    scaleOut: () => void add('two_tiers', true).catch(() => undefined),
    retire: (member) => finish(member, 'it was idle'),
    log: (event, facts) => log.info(event, { deployment_id, ...facts }),
  })

  const left = (ticket: Ticket): void => {
    tickets.delete(ticket)
    if (tickets.size === 0) emptied?.()
  }

  let started: Promise<void> | undefined
  return {
    start: (purpose) => {
      started ??= (async () => {
        const missing = kept - usable().length
        const tier = purpose === 'deploy' ? 'second_tier' : 'two_tiers'
        // The first decides; the others of min_instances follow it.
        if (missing > 0) await add(tier, purpose === 'activate')
        await Promise.all(Array.from({ length: Math.max(0, kept - usable().length) }, () => add(tier, false)))
      })().finally(() => {
        started = undefined
      })
      return started
    },
    call: (call, signal) => {
      if (closed !== undefined || failed !== undefined)
        return Promise.reject(new PlatformError('deployment_unavailable', failed ?? closed ?? ''))
      if (queue.length >= options.max_queue) {
        const detail = `${tickets.size} requests are waiting or computing, which is the most this deployment takes`
        return Promise.reject(new PlatformError('overloaded', detail, { retry_after_s: 1 }))
      }
      const { ticket, answer } = makeTicket(call, options.timeout_ms, signal, left)
      if (ticket.settled) return answer
      tickets.add(ticket)
      const member = queue.length === 0 ? idlest() : undefined
      if (member) send(ticket, member)
      else {
        queue.push(ticket)
        feed()
      }
      return answer
    },
    drain: async (reason) => {
      if (closed === undefined) closed = reason
      if (tickets.size > 0 && failed === undefined) await new Promise<void>((resolve) => (emptied = resolve))
      oversight.stop()
      for (const member of members) {
        member.retiring = true
        member.instance.kill(reason)
      }
      await Promise.all(members.map(({ instance }) => instance.exited))
    },
    status: () => ({
      ready: failed === undefined && closed === undefined && usable().length > 0,
      instances: members.length,
      memory_bytes: members.reduce((sum, { memory_bytes }) => sum + memory_bytes, 0),
      outstanding: tickets.size,
      failed,
    }),
  }
}
