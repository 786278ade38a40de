import { PlatformError } from '../core/contract/errors.ts'

export interface SlowDownLimits {
  /** Failures in a row that cost nothing. */
  free: number
  longest_wait_s: number
}

export interface SlowDown {
  /** Counts an attempt before it is made, so that a burst cannot outrun the count. Fails with `rate_limited` while it must wait. */
  begin(name: string): void
  /** The attempt was right: the name starts afresh, or only this attempt is taken back. */
  succeed(name: string, afresh: boolean): void
}

interface Failures {
  count: number
  last_ms: number
}

/** Names that are remembered at most; the one untouched for longest goes first. */
const most_names = 10_000
const forgotten_after_ms = 3_600_000

/**
 * Exponential slow-down: after `free` failures the next try waits 1, 2, 4 … seconds up to `longest_wait_s`, and an hour without a try
 * forgives all. Kept in memory: a restart forgives, which only somebody who can restart the platform could use.
 */
export const slowDown = (limits: SlowDownLimits, now: () => Date): SlowDown => {
  const seen = new Map<string, Failures>()
  const failuresOf = (name: string, now_ms: number): Failures => {
    const found = seen.get(name)
    return found && now_ms - found.last_ms < forgotten_after_ms ? found : { count: 0, last_ms: now_ms }
  }
  return {
    begin: (name) => {
      const now_ms = now().getTime()
      const failures = failuresOf(name, now_ms)
      const wait_ms = failures.last_ms + waitMs(failures.count, limits) - now_ms
      if (wait_ms > 0)
        throw new PlatformError('rate_limited', 'Too many failed sign-ins; wait before the next one', {
          retry_after_s: Math.ceil(wait_ms / 1000),
        })
      seen.delete(name)
      seen.set(name, { count: failures.count + 1, last_ms: now_ms })
      if (seen.size > most_names) seen.delete(seen.keys().next().value ?? name)
    },
    succeed: (name, afresh) => {
      const found = seen.get(name)
      if (!found) return
      if (afresh || found.count <= 1) seen.delete(name)
      else found.count -= 1
    },
  }
}

const waitMs = (count: number, { free, longest_wait_s }: SlowDownLimits): number =>
  count < free ? 0 : Math.min(2 ** Math.min(count - free, 30), longest_wait_s) * 1000
