import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Line } from '../../bin/rest-cost/lines.ts'
import { total } from '../../bin/rest-cost/lines.ts'
import { runsPerMonth } from '../../bin/rest-cost/runs.ts'
import { scheduleRestCost } from '../../bin/rest-cost/schedules.ts'
import { restCosts, stages } from '../../bin/rest-cost/stages.ts'
import { beginMark, endMark, restCost, restCostTable, withTable } from '../../bin/rest-cost/table.ts'
import { type ScheduleRow, schedules } from '../../layers/core/contract/schedules.ts'
import { snapshotPrices } from '../../layers/pricing/snapshot.ts'
import { eventBridgeExpression } from '../../lib/cron.ts'
import { resourcesOf } from '../../lib/templates.ts'
import { emptyBundles } from '../support/bundles.ts'

const prices = snapshotPrices()
const scratch = mkdtempSync(join(tmpdir(), 'rest-cost-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
const bundles = emptyBundles()
const costs = restCosts(prices, bundles, (name) => join(scratch, name.replace(/\W+/g, '-')))
const [dev, prod] = costs
const usdOf = (lines: readonly Line[] | undefined, service: string) =>
  total((lines ?? []).filter((line) => line.service === service))

describe('the platform at rest', () => {
  it('costs at most a dollar a month in the dev stage, at list price', () => {
    expect(total(dev?.lines ?? [])).toBeLessThanOrEqual(1)
    expect(total(dev?.lines ?? [])).toBeGreaterThan(0.1)
  })

  it('counts what is paid by the month where a stage switches it on, as lines of their own', () => {
    for (const service of ['KMS', 'WAF', 'VPC']) {
      expect(usdOf(dev?.lines, service)).toBe(0)
      expect(usdOf(prod?.lines, service)).toBeGreaterThanOrEqual(1)
    }
    expect(usdOf(prod?.lines, 'CloudWatch') - usdOf(dev?.lines, 'CloudWatch')).toBeCloseTo(3, 6)
    // Each queue that Lambda polls: 5 × 3 requests a minute.
    expect(usdOf(dev?.lines, 'SQS')).toBeCloseTo(5 * 3 * 60 * 730 * 4e-7, 6)
  })

  it('is what docs/deploy.md says', () => {
    const path = join(import.meta.dirname, '../../docs/deploy.md')
    expect(existsSync(path)).toBe(true)
    const document = readFileSync(path, 'utf8')
    expect(document, 'stale: run "npm run rest-cost"').toBe(withTable(document, restCostTable(costs, prices)))
  })

  it('stops at a resource nobody judged, and at one without a price', () => {
    const resources = resourcesOf(stages.dev, bundles, join(scratch, 'again'))
    const stranger = { stack: 'x', id: 'x', type: 'AWS::Redshift::Cluster', properties: {} }
    expect(() => restCost([...resources, stranger], prices)).toThrow(/AWS::Redshift::Cluster/)
    expect(() => restCost(resources, { version: 'empty', tiers: () => [] })).toThrow(/empty has no/)
  })

  it('replaces its block and nothing else', () => {
    expect(withTable(`a ${beginMark}old${endMark} b`, 'new')).toBe(`a ${beginMark}\n\nnew\n\n${endMark} b`)
    expect(() => withTable('no marks', 'new')).toThrow(/rest-cost:begin/)
  })
})

describe('schedules', () => {
  it.each([
    ['rate(5 minutes)', 8760],
    ['rate(1 minute)', 43_800],
    ['rate(1 day)', 730 / 24],
    ['cron(7 * * * ? *)', 730],
    ['cron(0/15 * * * ? *)', 2920],
    ['cron(17 3 * * ? *)', 730 / 24],
    ['cron(0 8 ? * MON *)', 730 / 24 / 7],
    ['cron(0,30 8-17 * * ? *)', (20 * 730) / 24],
  ])('%s runs %d times a month', (expression, runs) => {
    expect(runsPerMonth(expression)).toBeCloseTo(runs, 6)
  })

  it('are counted as their expression says, or not at all', () => {
    expect(() => runsPerMonth('at(2026-11-21T00:00:00)')).toThrow(/cannot be counted/)
  })

  it.each(Object.values<ScheduleRow>(schedules))('row $id says what it costs at rest', (row) => {
    const runs_per_month = runsPerMonth(eventBridgeExpression(row).expressionString)
    expect(row.cost_at_rest).toEqual(scheduleRestCost({ id: row.id, runs_per_month, memory_mb: row.memory_mb ?? 512 }, prices))
  })
})
