/**
 * What metering costs: `record` on the path of every inference, sketch merges, and an analysis over a fleet.
 * Run: node --conditions=embedded bench/metering.ts
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import * as z from 'zod'
import { addLatency, emptySketch, LatencySketchCodec, mergeSketches } from '../layers/core/domain/latency-sketch.ts'
import type { InferenceSample } from '../layers/core/domain/usage.ts'
import { analyseCost } from '../layers/core/usecases/analyse-cost.ts'
import { usageMeter } from '../layers/core/usecases/meter-usage.ts'
import { rollUpUsage } from '../layers/core/usecases/roll-up-usage.ts'
import { snapshotPrices } from '../layers/pricing/snapshot.ts'
import { sqliteRecords } from '../layers/records/sqlite.ts'

const folder = mkdtempSync(join(tmpdir(), 'metering-'))
const quiet = () => undefined
const log = { info: quiet, warn: quiet, error: quiet }
let at_ms = Date.UTC(2026, 9, 21)
const now = () => new Date(at_ms)
const records = sqliteRecords({ path: join(folder, 'records.db'), now })
const prices = snapshotPrices()
const meter = usageMeter({ records, prices, now, log })

const sample = (n: number): InferenceSample => ({
  organization_id: 'org_1',
  deployment_id: `dep_${n % 20}`,
  deployment_type: 'serverless',
  revision: 1,
  at_ms,
  latency_us: 5_000 + ((n * 7919) % 40_000),
  compute_us: 4_000,
  cpu_us: 3_900,
  cold: false,
  init_us: 0,
  error: n % 1000 === 0,
  bytes_in: 3_000,
  bytes_out: 900,
  memory_bytes: 180e6,
  memory_limit_bytes: 2 ** 31,
})
const print = (what: string, figure: string) => console.log(`${what.padEnd(62)}${figure}`)
const milliseconds = async (run: () => unknown) => {
  const start = performance.now()
  await run()
  return performance.now() - start
}

const samples = Array.from({ length: 100_000 }, (_, n) => sample(n))
for (const one of samples) meter.record(one)
const recording = await milliseconds(() => {
  for (let round = 0; round < 10; round++) for (const one of samples) meter.record(one)
})
print('record(), 20 deployments, a million requests', `${Math.round(recording)} ns each`)
await meter.flush()

const sketches = Array.from({ length: 720 }, (_, n) => {
  const sketch = emptySketch()
  for (let r = 0; r < 1000; r++) addLatency(sketch, 1_000 + ((r * n * 31) % 200_000))
  return sketch
})
print('merge of 720 sketches of 1,000 latencies each', `${(await milliseconds(() => mergeSketches(sketches))).toFixed(1)} ms`)
print('JSON of that merge', `${JSON.stringify(z.encode(LatencySketchCodec, mergeSketches(sketches))).length} bytes`)

let rollUps_ms = 0
for (let hour = 0; hour < 30 * 24; hour++) {
  for (let n = 0; n < 20; n++) meter.record(sample(n))
  await meter.flush()
  at_ms += 3_600_000
  if (hour % 24 === 23) rollUps_ms += await milliseconds(() => rollUpUsage({ records, log, now }))
}
print('roll-up of 14,400 hours with traffic', `${(rollUps_ms / 14_400).toFixed(2)} ms an hour row`)
const viewer = { kind: 'user', id: 'usr_1', name: 'bench', organization_id: 'org_1', role: 'viewer' } as const
print(
  'cost analysis, 20 deployments, 30 days by the hour',
  `${Math.round(await milliseconds(() => analyseCost({ records, meter, now, prices }, viewer, {})))} ms`,
)

await records.close()
rmSync(folder, { recursive: true })
