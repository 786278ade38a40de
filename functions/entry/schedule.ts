import middy from '@middy/core'
import { app } from '#app'
import { type ScheduleRow, schedules } from '../../layers/core/contract/schedules.ts'
import type { JsonObject } from '../../layers/core/domain/json.ts'

/** A schedule as a Lambda. Its summary is its log line; a failure is EventBridge Scheduler's to retry. */
export const scheduleHandler = (id: string, run: () => Promise<JsonObject>) =>
  middy(async (): Promise<JsonObject> => {
    const row: ScheduleRow | undefined = Object.values<ScheduleRow>(schedules).find((one) => one.id === id)
    if (row?.needs.includes('prices:read')) await app.prices.load?.()
    const summary = await run()
    app.log.info('schedule', { schedule: id, ...summary })
    return summary
  })
