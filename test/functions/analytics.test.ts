import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UploadReply } from '../../layers/core/contract/routes/models.ts'
import { CostAnalysis, Forecast, PerformanceAnalysis, Suggestions } from '../../layers/core/domain/analytics.ts'
import { DeploymentDetail, DeploymentReply } from '../../layers/core/domain/deployment.ts'
import { nanoUsdFrom } from '../../layers/core/domain/money.ts'
import { PriceList } from '../../layers/core/domain/price-list.ts'
import { denseModel } from '../support/models.ts'
import { eventually, type Platform, startPlatform } from '../support/platform.ts'

const inferences = 25
let platform: Platform
let deployment_id: string
let deployment_name: string

beforeAll(async () => {
  platform = await startPlatform()
  const { model_id } = UploadReply.parse((await platform.upload('digits.onnx', denseModel([8, 16, 4]))).body)
  const resource_requirements = { cpu: '1', memory: '512Mi', gpu: null, timeout: 30 }
  const created = await platform.call('POST', '/deployments', {
    name: 'digits',
    model_id,
    deployment_type: 'serverless',
    resource_requirements,
  })
  deployment_id = DeploymentReply.parse(created.body).id
  const read = async () => DeploymentReply.parse((await platform.call('GET', `/deployments/${deployment_id}`)).body)
  const deployment = await eventually(read, ({ status }) => status === 'active' || status === 'failed', 45_000)
  expect(deployment).toMatchObject({ status: 'active' })
  deployment_name = deployment.name
  for (let n = 0; n < inferences; n++) {
    const answer = await platform.call('POST', `/deployments/${deployment_id}/inference`, { inputs: [Array(8).fill(n)] })
    expect(answer.status).toBe(200)
  }
})
afterAll(async () => {
  await platform?.stop()
  await platform?.remove()
})

const sum = (amounts: number[]) => amounts.reduce((total, usd) => total + nanoUsdFrom(usd), 0n)

describe('analytics of real traffic', () => {
  test('cost: every inference so far, three ways down to the same total, each figure with its basis', async () => {
    const { status, body } = await platform.call('GET', '/analytics/cost')
    expect(status).toBe(200)
    const cost = CostAnalysis.parse(body)
    const total = nanoUsdFrom(cost.total_cost)
    expect(total).toBeGreaterThan(BigInt(inferences * 200))
    expect(sum(Object.values(cost.cost_breakdown))).toBe(total)
    expect(sum(Object.values(cost.cost_by_type))).toBe(total)
    expect(cost.cost_by_deployment).toEqual({ [deployment_id]: cost.total_cost })
    expect(cost.unpriced).toEqual([])
    expect(cost.comparison.our_platform).toBe(cost.total_cost)
    for (const provider of ['aws', 'azure', 'gcp'] as const) {
      expect(cost.comparison[provider]).toBeGreaterThan(0)
      expect(cost.comparison.basis[provider]).toContain('always-on')
    }
    expect(cost.basis.total_cost).toContain('what this usage costs on AWS at the price list 2026-11-20')
  })

  test('performance: requests, latency and errors of every deployment', async () => {
    const performance = PerformanceAnalysis.parse((await platform.call('GET', '/analytics/performance')).body)
    expect(performance).toMatchObject({
      total_requests: inferences,
      error_rate: 0,
      performance_by_type: { serverless: { requests: inferences } },
    })
    const { p50_latency, p95_latency, p99_latency, avg_latency } = performance.performance_by_deployment[deployment_id] ?? {}
    expect(avg_latency).toBeGreaterThan(0)
    expect(p50_latency ?? 0).toBeLessThanOrEqual(p95_latency ?? 0)
    expect(p95_latency ?? 0).toBeLessThanOrEqual(p99_latency ?? 0)
  })

  test('forecast: one value a day, 30 unless asked, at most 365', async () => {
    const standard = Forecast.parse((await platform.call('GET', '/analytics/forecast')).body)
    expect(standard.total_requests_forecast).toHaveLength(30)
    expect(standard.total_cost_forecast).toHaveLength(30)
    const asked = Forecast.parse((await platform.call('GET', '/analytics/forecast?days=365')).body)
    expect(asked.forecast_by_deployment[deployment_id]).toMatchObject({
      deployment_name,
      requests_forecast: expect.objectContaining({ length: 365 }),
    })
    for (const days of ['0', '366', '2.5', 'many'])
      expect((await platform.call('GET', `/analytics/forecast?days=${days}`)).status).toBe(422)
  })

  test('suggestions: in the documented shape', async () => {
    const { status, body } = await platform.call('GET', '/analytics/suggestions')
    expect(status).toBe(200)
    for (const { suggestions } of Object.values(Suggestions.parse(body).suggestions_by_deployment))
      expect(suggestions.length).toBeGreaterThan(0)
  })

  test('refuses windows that make no sense, and callers without a token', async () => {
    for (const query of [
      'start_time=yesterday',
      'start_time=2026-01-02T00:00:00Z&end_time=2026-01-01T00:00:00Z',
      'end_time=2999-01-01T00:00:00Z',
      'start_time=2020-01-01T00:00:00Z',
    ]) {
      for (const route of ['cost', 'performance', 'forecast']) {
        const { status, body } = await platform.call('GET', `/analytics/${route}?${query}`)
        expect([route, query, status]).toEqual([route, query, 422])
        expect(body).toMatchObject({
          code: 'invalid_request',
          errors: [expect.objectContaining({ pointer: expect.stringMatching(/^query\//) })],
        })
      }
    }
    expect((await fetch(`${platform.url}/analytics/cost`)).status).toBe(401)
  })
})

describe('prices', () => {
  test('the list in force says what it is made of; without outgoing calls that is the snapshot', async () => {
    const { status, body } = await platform.call('GET', '/analytics/prices')
    expect(status).toBe(200)
    const list = PriceList.parse(body)
    expect(list.version).toMatch(/^snapshot-\d{4}-\d{2}-\d{2}$/)
    expect(list).toMatchObject({ sources: [], held: [] })
    expect(list.age_hours).toBeGreaterThan(0)
  })

  test('what is not held cannot be released, and a misspelt body is refused', async () => {
    const release = (body: unknown) => platform.call('POST', '/analytics/prices/release', body)
    expect(await release({ sku: 'aws/lambda/request', region: 'us-east-1' })).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    })
    expect(await release({ sku: 'aws/lambda/request' })).toMatchObject({ status: 422 })
  })

  test('a deployment tells what each rung of its ladder costs, and how long waking takes, measured', async () => {
    const detail = DeploymentDetail.parse((await platform.call('GET', `/deployments/${deployment_id}`)).body)
    expect(detail.hibernation_ladder?.map(({ name, current }) => [name, current])).toEqual([
      ['warm', true],
      ['scaled_to_zero', false],
    ])
    const asleep = detail.hibernation_ladder?.[1]
    expect(asleep).toMatchObject({ usd_per_month: 0, wake_basis: 'its last start, measured' })
    expect(asleep?.wake_seconds).toBeGreaterThan(0)
    expect(asleep?.basis).toContain('no list price')
  })
})
