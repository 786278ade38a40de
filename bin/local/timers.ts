import { Cron } from 'croner'
import { type ScheduleId, type ScheduleRow, schedules } from '../../layers/core/contract/schedules.ts'
import type { JsonObject } from '../../layers/core/domain/json.ts'
import type { Log } from '../../layers/core/ports/log.ts'

/** Runs the schedule table. A run that is still going is never started twice; a failure is logged and tried again at the next tick. */
export const startTimers = (runs: ReadonlyMap<ScheduleId, () => Promise<JsonObject>>, log: Log): { stop(): Promise<void> } => {
  const going = new Set<Promise<void>>()
  const jobs = [...runs].map(([id, run]) => {
    const row: ScheduleRow = schedules[id]
    const tick = (): Promise<void> => {
      const current = runOnce(id, run, log)
      going.add(current)
      return current.finally(() => going.delete(current))
    }
    return 'cron' in row.every
      ? new Cron(row.every.cron, { name: id, protect: true, unref: true }, tick)
      : new Cron('* * * * * *', { name: id, protect: true, unref: true, interval: row.every.seconds }, tick)
  })
  return {
    stop: async () => {
      for (const job of jobs) job.stop()
      await Promise.all(going)
    },
  }
}

const runOnce = async (id: ScheduleId, run: () => Promise<JsonObject>, log: Log): Promise<void> => {
  try {
    const summary = await run()
    if (Object.values(summary).some((value) => value !== 0 && value !== null)) log.info('schedule', { schedule: id, ...summary })
  } catch (error) {
    log.error('schedule failed', { schedule: id, detail: error instanceof Error ? error.stack : String(error) })
  }
}
