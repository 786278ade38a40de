import type { RouteHandler } from '../../functions/entry/http.ts'
import type { StreamHandler } from '../../functions/entry/stream.ts'
import { type PipelineId, type PipelineRow, pipelines } from '../../layers/core/contract/pipelines.ts'
import { routeRows } from '../../layers/core/contract/routes.ts'
import { type ScheduleId, schedules } from '../../layers/core/contract/schedules.ts'
import { isTold, type Subscriber, type SubscriberId, subscribers } from '../../layers/core/contract/subscribers.ts'
import type { JsonObject } from '../../layers/core/domain/json.ts'
import type { Step } from '../../layers/core/ports/workflows.ts'

/** The code behind every row of the three tables, found by the row's name. A row without its file stops the start. */

export const loadHandlers = async (): Promise<Map<string, RouteHandler | StreamHandler>> => {
  const loaded = await Promise.all(
    routeRows.map(async (row) => {
      const file: { handler: RouteHandler | StreamHandler } = await import(`../../functions/${row.function}/${row.id}.ts`)
      return [row.id, file.handler] as const
    }),
  )
  return new Map(loaded)
}

export const loadSteps = async (): Promise<Map<string, Step>> => {
  const names = (Object.keys(pipelines) as PipelineId[]).flatMap((id) => stepNames(pipelines[id]))
  const loaded = await Promise.all(
    names.map(async (name) => {
      const file: { run: Step } = await import(`../../functions/pipeline/${name}.ts`)
      return [name, file.run] as const
    }),
  )
  return new Map(loaded)
}

const stepNames = (row: PipelineRow): string[] =>
  row.nodes.flatMap((node) => {
    if (node.kind === 'step') return [node.name]
    return node.kind === 'each' ? node.steps.map((step) => step.name) : [node.step.name]
  })

export const loadSchedules = async (): Promise<Map<ScheduleId, () => Promise<JsonObject>>> => {
  const loaded = await Promise.all(
    (Object.keys(schedules) as ScheduleId[]).map(async (id) => {
      const file: { run: () => Promise<JsonObject> } = await import(`../../functions/schedules/${id}.ts`)
      return [id, file.run] as const
    }),
  )
  return new Map(loaded)
}

/** Each hears only what its row wants to be told of, as on AWS, where a rule decides that. */
export const loadSubscribers = async (): Promise<Map<SubscriberId, Subscriber>> => {
  const loaded = await Promise.all(
    (Object.keys(subscribers) as SubscriberId[]).map(async (id) => {
      const file: { run: Subscriber } = await import(`../../functions/events/${id}.ts`)
      const told: Subscriber = async (event) => (isTold(subscribers[id], event) ? file.run(event) : undefined)
      return [id, told] as const
    }),
  )
  return new Map(loaded)
}
