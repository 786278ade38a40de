import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type PipelineRow, pipelines } from '../layers/core/contract/pipelines.ts'
import { routeRows } from '../layers/core/contract/routes.ts'
import { schedules } from '../layers/core/contract/schedules.ts'
import { subscribers } from '../layers/core/contract/subscribers.ts'
import { capabilities } from '../lib/grants.ts'
import { stepsOf } from '../lib/units.ts'

const functions = join(import.meta.dirname, '..', 'functions')
const filesIn = (folder: string): string[] =>
  (existsSync(join(functions, folder))
    ? readdirSync(join(functions, folder)).map((file) => file.replace(/\.ts$/, ''))
    : []
  ).sort()
const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort()

describe('the three tables', () => {
  it.each(
    sorted(routeRows.map((row) => row.function)),
  )('have a file for every route of %s, and a route for every file', (name) => {
    expect(filesIn(name)).toEqual(sorted(routeRows.filter((row) => row.function === name).map((row) => row.id)))
  })

  it('have rows for every folder of functions', () => {
    const folders = readdirSync(functions, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(folders.map((folder) => folder.name).sort()).toEqual(
      sorted([...routeRows.map((row) => row.function), 'entry', 'events', 'pipeline', 'runtime', 'schedules']),
    )
  })

  it('have a file for every pipeline step, and a step for every file', () => {
    const rows: PipelineRow[] = Object.values(pipelines)
    expect(filesIn('pipeline')).toEqual(sorted(rows.flatMap(stepsOf).map((step) => step.name)))
  })

  it('have a file for every schedule, and a schedule for every file', () => {
    expect(filesIn('schedules')).toEqual(sorted(Object.keys(schedules)))
  })

  it('have a file for every subscriber, and a subscriber for every file', () => {
    expect(filesIn('events')).toEqual(sorted(Object.keys(subscribers)))
    for (const [id, row] of Object.entries(subscribers)) expect(row.id).toBe(id)
  })

  it('need only capabilities that IAM knows', () => {
    const rows: PipelineRow[] = Object.values(pipelines)
    const needs = sorted([
      ...routeRows.flatMap((row) => row.needs),
      ...rows.flatMap((row) => row.needs),
      ...Object.values(schedules).flatMap((row) => row.needs),
      ...Object.values(subscribers).flatMap((row) => row.needs),
    ])
    expect(needs.filter((need) => !(need in capabilities))).toEqual([])
  })

  it('name one thing by one name: path variables at one level are the same everywhere', () => {
    const variables = new Map<string, Set<string>>()
    for (const row of routeRows) {
      const segments = row.path.split('/')
      segments.forEach((segment, at) => {
        if (!segment.startsWith('{')) return
        const level = segments.slice(0, at).join('/')
        variables.set(level, (variables.get(level) ?? new Set()).add(segment.replace('+', '')))
      })
    }
    expect(
      [...variables].filter(([, names]) => names.size > 1).map(([level, names]) => `${level}: ${[...names].join(', ')}`),
    ).toEqual([])
  })

  it('serve every method and path once', () => {
    const keys = routeRows.map((row) => `${row.method} ${row.path}`)
    expect(keys.length).toBe(new Set(keys).size)
  })
})
