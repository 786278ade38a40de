import type { App } from '../../layers/core/ports/app.ts'

/** An invocation that begins later than this after the one before it has the process to itself. */
const idle_ms = 1_000
/** While invocations follow each other closely, one write in so long. */
const most_unwritten_ms = 5_000

/**
 * For a process that is frozen when an invocation ends, where no timer runs: writes what the meter holds after the answer has gone out.
 * At once where less than one call a second comes, so that nothing waits in a process that may never be thawed; every five seconds
 * under load. What can be lost is the last partial buffer, at most five seconds of calls, of an environment that is killed while it is
 * frozen.
 */
export const flushAtEnd = (app: Pick<App, 'meter' | 'now'>): (() => Promise<void>) => {
  let ended_ms = Number.NEGATIVE_INFINITY
  let flushed_ms = Number.NEGATIVE_INFINITY
  return async () => {
    const now_ms = app.now().getTime()
    const due = now_ms - ended_ms >= idle_ms || now_ms - flushed_ms >= most_unwritten_ms
    ended_ms = now_ms
    if (!due) return
    flushed_ms = now_ms
    await app.meter.flush()
  }
}

/** Where the platform tells a process that it ends, which Lambda does only beside an extension: the rest is written within `limit_ms`. */
export const flushAtExit = (app: Pick<App, 'meter'>, limit_ms = 1_500): void => {
  process.once('SIGTERM', () => {
    const limit = new Promise((resolve) => setTimeout(resolve, limit_ms))
    Promise.race([app.meter.flush(), limit]).finally(() => process.exit(0))
  })
}
