import { type PipelineRow, pipelines, type StepNode } from '../layers/core/contract/pipelines.ts'
import { routeRows } from '../layers/core/contract/routes.ts'
import { schedules } from '../layers/core/contract/schedules.ts'

/** One Lambda function and the files behind it; `bin/build.ts` bundles it, `lib/stacks` provision it. */
export interface Unit {
  /** Also its bundle, `dist/<name>.mjs`, and the last part of its function name. */
  name: string
  kind: 'http' | 'stream' | 'step' | 'schedule'
  /** Files below `functions/`, without extension. */
  files: string[]
  needs: string[]
  timeout_s: number
  memory_mb: number
}

const unique = (values: readonly string[]): string[] => [...new Set(values)].sort()

/** Rows AWS serves. Part uploads go straight to S3 there, so the platform's own receiver has no function. */
export const awsRoutes = routeRows.filter((row) => row.role !== 'signed_url')

const routeUnits = (): Unit[] =>
  unique(awsRoutes.map((row) => `${row.function}/${row.transfer}`)).map((key) => {
    const [name = '', transfer] = key.split('/')
    const rows = awsRoutes.filter((row) => row.function === name && row.transfer === transfer)
    return {
      name: routeUnitName(name, transfer === 'stream'),
      kind: transfer === 'stream' ? 'stream' : 'http',
      files: rows.map((row) => `${name}/${row.id}`),
      needs: unique(rows.flatMap((row) => row.needs)),
      timeout_s: transfer === 'stream' ? 300 : 29,
      memory_mb: 512,
    }
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
    stepsOf(row).map(({ name, timeout_s, memory_mb }) => ({
      name: `step-${name}`,
      kind: 'step',
      files: [`pipeline/${name}`],
      needs: unique(row.needs),
      timeout_s,
      memory_mb,
    })),
  )

const scheduleUnits = (): Unit[] =>
  Object.values(schedules).map(({ id, needs }) => ({
    name: `schedule-${id}`,
    kind: 'schedule',
    files: [`schedules/${id}`],
    needs: unique(needs),
    timeout_s: 300,
    memory_mb: 512,
  }))

export const units: readonly Unit[] = [...routeUnits(), ...stepUnits(), ...scheduleUnits()]
