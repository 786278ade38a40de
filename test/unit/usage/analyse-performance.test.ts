import { describe, expect, it } from 'vitest'
import { PerformanceAnalysis } from '../../../layers/core/domain/analytics.ts'
import { analysePerformance } from '../../../layers/core/usecases/analyse-performance.ts'
import { analyticsApp, deploymentOf, store, viewer } from '../../support/fleet.ts'
import { sampleAt, seededRandom } from '../../support/usage.ts'

const hour = 3_600_000
const from_ms = Date.UTC(2026, 10, 18)

describe('performance analysis', () => {
  it('averages by requests, not by deployment, and takes percentiles from all of them', async () => {
    const app = analyticsApp()
    await store(app.records, 'deployment', deploymentOf('dep_1'), deploymentOf('dep_2', { deployment_type: 'custom' }))
    for (let n = 1; n <= 1000; n++)
      app.meter.record(sampleAt(from_ms + n * 60_000, { latency_us: n * 1000, error: n % 100 === 0, cold: n === 1 }))
    for (let n = 0; n < 3000; n++)
      app.meter.record(sampleAt(from_ms + n * 1000, { deployment_id: 'dep_2', deployment_type: 'custom', latency_us: 2000 }))
    const report = PerformanceAnalysis.parse(await analysePerformance(app, viewer, {}))
    expect(report).toMatchObject({ total_requests: 4000, avg_latency: (500.5 * 1000 + 2 * 3000) / 4000, error_rate: 0.25 })
    expect(report.performance_by_type).toEqual({
      serverless: { requests: 1000, avg_latency: 500.5, error_rate: 1 },
      custom: { requests: 3000, avg_latency: 2, error_rate: 0 },
    })
    const dep_1 = report.performance_by_deployment.dep_1
    expect(dep_1).toMatchObject({ requests: 1000, avg_latency: 500.5, error_rate: 1, cold_starts: 1 })
    for (const [got, truth] of [
      [dep_1?.p50_latency, 500],
      [dep_1?.p95_latency, 950],
      [dep_1?.p99_latency, 990],
    ] as const)
      expect(Math.abs((got ?? 0) / truth - 1)).toBeLessThan(0.0115)
    expect(report.recommendations.map((one) => one.type)).toEqual(['high_latency_deployments', 'model_optimization'])
  })

  it('finds the hours that are unlike the deployment itself, newest first, and no others', async () => {
    const app = analyticsApp()
    await store(app.records, 'deployment', deploymentOf('dep_1'))
    const random = seededRandom(5)
    for (let n = 0; n < 48; n++) {
      const failing = n === 20
      const slow = n === 30
      const requests = n === 40 ? 400 : 60 + Math.floor(random() * 20)
      for (let r = 0; r < requests; r++) {
        app.meter.record(
          sampleAt(from_ms + n * hour + r * 1000, {
            error: failing && r % 10 === 0,
            latency_us: (slow ? 90_000 : 20_000) * (0.8 + 0.4 * random()),
          }),
        )
      }
    }
    const { anomalies } = await analysePerformance(app, viewer, {
      start_time: '2026-11-18T00:00:00Z',
      end_time: '2026-11-20T00:00:00Z',
    })
    expect(anomalies.dep_1?.map(({ type, timestamp }) => [type, timestamp])).toEqual([
      ['traffic_spike', new Date(from_ms + 40 * hour).toISOString()],
      ['high_latency', new Date(from_ms + 30 * hour).toISOString()],
      ['high_error_rate', new Date(from_ms + 20 * hour).toISOString()],
    ])
    expect(anomalies.dep_1?.[2]?.message).toMatch(/^High error rate detected: [\d.]+% \(threshold: [\d.]+%\)$/)
  })

  it('uses fixed thresholds while there is no history', async () => {
    const app = analyticsApp()
    for (let r = 0; r < 100; r++) app.meter.record(sampleAt(from_ms + r * 1000, { error: r < 6, latency_us: 1_300_000 }))
    await app.meter.flush()
    await app.rollUp()
    const { anomalies } = await analysePerformance(app, viewer, {})
    expect(anomalies.dep_1?.map((one) => one.message)).toEqual([
      'High error rate detected: 6% (threshold: 5%)',
      expect.stringMatching(/^High latency detected: p95 1(290|300|310)ms \(threshold: 1000ms\)$/),
    ])
  })

  it('draws no conclusion from an hour with few requests', async () => {
    const app = analyticsApp()
    for (let r = 0; r < 19; r++) app.meter.record(sampleAt(from_ms + r * 1000, { error: true, latency_us: 9_000_000 }))
    expect((await analysePerformance(app, viewer, {})).anomalies).toEqual({})
  })

  it('answers zeros and nulls for nothing', async () => {
    const report = PerformanceAnalysis.parse(await analysePerformance(analyticsApp(), viewer, {}))
    expect(report).toMatchObject({
      total_requests: 0,
      avg_latency: 0,
      error_rate: 0,
      performance_by_type: {},
      performance_by_deployment: {},
      anomalies: {},
      recommendations: [],
    })
  })
})
