import { type PipelineRow, pipelines, type StepNode } from '../layers/core/contract/pipelines.ts'
import { routeRows } from '../layers/core/contract/routes.ts'
import { type ScheduleRow, schedules } from '../layers/core/contract/schedules.ts'
import { subscribers } from '../layers/core/contract/subscribers.ts'

/** One Lambda function and the files behind it; `bin/build.ts` bundles it, `lib/stacks` provision it. */
export interface Unit {
  /** Also its bundle, `dist/<name>.mjs`, and the last part of its function name. */
  name: string
  kind: 'http' | 'stream' | 'step' | 'schedule' | 'subscriber' | 'plain'
  /** Files below `functions/`, without extension. */
  files: string[]
  needs: string[]
  timeout_s: number
  memory_mb: number
  /** Below `/tmp`; Lambda gives 512 MB without asking. */
  ephemeral_mb: number
  /** A child process of it opens models with the native runtime, so it gets its layer. */
  onnxruntime: boolean
}

type Facts = Omit<Unit, 'ephemeral_mb' | 'onnxruntime'> & { ephemeral_mb?: number }

/** What a unit's needs say beyond its own facts. */
const unit = (facts: Facts): Unit => ({ ephemeral_mb: 512, ...facts, onnxruntime: facts.needs.includes('onnxruntime:load') })

/** Where the usual 512 MB are not enough: an upload is inspected in a process of up to 2 GB, and joining one copies the model to a file. */
const larger: Record<string, { memory_mb: number; ephemeral_mb: number }> = {
  models: { memory_mb: 3008, ephemeral_mb: 5632 },
  'models-stream': { memory_mb: 3008, ephemeral_mb: 512 },
}

const unique = (values: readonly string[]): string[] => [...new Set(values)].sort()

/** Rows AWS serves. Part uploads go straight to S3 there, so the platform's own receiver has no function. */
export const awsRoutes = routeRows.filter((row) => row.role !== 'signed_url')

const routeUnits = (): Unit[] =>
  unique(awsRoutes.map((row) => `${row.function}/${row.transfer}`)).map((key) => {
    const [name = '', transfer] = key.split('/')
    const rows = awsRoutes.filter((row) => row.function === name && row.transfer === transfer)
    const unitName = routeUnitName(name, transfer === 'stream')
    return unit({
      name: unitName,
      kind: transfer === 'stream' ? 'stream' : 'http',
      files: rows.map((row) => `${name}/${row.id}`),
      needs: unique(rows.flatMap((row) => row.needs)),
      timeout_s: transfer === 'stream' ? 300 : 29,
      memory_mb: 512,
      ...larger[unitName],
    })
  })

/** A function's streaming routes are a Lambda of their own, because a Lambda either streams or does not. */
export const routeUnitName = (name: string, streams: boolean): string => (streams ? `${name}-stream` : name)

export const stepsOf = (row: PipelineRow): StepNode[] =>
  row.nodes.flatMap((node) => {
    if (node.kind === 'step') return [node]
    return node.kind === 'each' ? node.steps : [node.step]
  })

const stepUnits = (): Unit[] =>
  Object.values(pipelines).flatMap((row: PipelineRow) =>
    stepsOf(row).map(({ name, needs, timeout_s, memory_mb, ephemeral_mb }) =>
      unit({
        name: `step-${name}`,
        kind: 'step',
        files: [`pipeline/${name}`],
        needs: unique([...row.needs, ...needs]),
        timeout_s,
        memory_mb,
        ephemeral_mb,
      }),
    ),
  )

const scheduleUnits = (): Unit[] =>
  Object.values(schedules).map(({ id, needs, timeout_s, memory_mb }: ScheduleRow) =>
    unit({
      name: `schedule-${id}`,
      kind: 'schedule',
      files: [`schedules/${id}`],
      needs: unique(needs),
      timeout_s: timeout_s ?? 300,
      memory_mb: memory_mb ?? 512,
    }),
  )

const subscriberUnits = (): Unit[] =>
  Object.values(subscribers).map(({ id, needs }) =>
    unit({
      name: `deliver-${id}`,
      kind: 'subscriber',
      files: [`events/${id}`],
      needs: unique(needs),
      timeout_s: 60,
      memory_mb: 256,
    }),
  )

/** What no table row names: functions that streams, queues, the gateway and the stacks themselves call. Their file exports `handler`. */
const plainUnits: readonly Facts[] = [
  {
    name: 'publish-changes',
    kind: 'plain',
    files: ['entry/stream-record'],
    needs: ['events:publish'],
    timeout_s: 60,
    memory_mb: 256,
  },
  {
    name: 'first-admin',
    kind: 'plain',
    files: ['entry/first-admin'],
    needs: ['records:read', 'records:write', 'identity:enrol'],
    timeout_s: 60,
    memory_mb: 256,
  },
  {
    name: 'authorizer',
    kind: 'plain',
    files: ['entry/authorizer'],
    // Writes only when a key was last used, and brings older users into the access partition.
    needs: ['records:read', 'records:write', 'identity:verify'],
    timeout_s: 10,
    memory_mb: 512,
  },
  {
    name: 'teardown',
    kind: 'plain',
    files: ['entry/teardown'],
    needs: ['artifacts:remove', 'deployers:undeploy'],
    timeout_s: 900,
    memory_mb: 512,
  },
]

export const units: readonly Unit[] = [
  ...routeUnits(),
  ...stepUnits(),
  ...scheduleUnits(),
  ...subscriberUnits(),
  ...plainUnits.map(unit),
]

/** Fails when no row and no list above makes it. */
export const unitNamed = (name: string): Unit => {
  const unit = units.find((candidate) => candidate.name === name)
  if (unit === undefined)
    throw new Error(`There is no function ${name}; there are ${units.map((known) => known.name).join(', ')}`)
  return unit
}
