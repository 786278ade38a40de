import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type RecordedRows, readRecordedRows } from '../../layers/core/domain/recorded-rows.ts'
import { startInstance } from '../../layers/serving/instance.ts'
import { type DeployerBench, deployerBench, deployTarget, predict } from '../support/deployments.ts'
import { identityModel } from '../support/models.ts'

/** Model processes that keep a sample of what they are sent. */

let bench: DeployerBench
const kept = new Map<string, RecordedRows>()
let writes = 0
const start = (every_ms: number): void => {
  bench = deployerBench({
    startInstance,
    record_every_ms: every_ms,
    keep_recorded: async ({ organization_id, id }, writer, file) => {
      const rows = readRecordedRows(file)
      if (!rows) throw new Error('no sample')
      writes += 1
      kept.set(`${organization_id}/${id}/${writer}`, rows)
    },
  })
}
beforeEach(() => {
  kept.clear()
  writes = 0
})
afterEach(() => bench.end())

const target = (record_requests: { rows: number } | null, revision = 1) => {
  const base = deployTarget(bench.file('echo.onnx', identityModel('FP32', ['batch', 4])), { revision })
  return { ...base, deployment: { ...base.deployment, record_requests } }
}
const call = (to: ReturnType<typeof target>, ...rows: number[][]) => predict(bench.deployer, to, { inputs: rows })
const samples = () => [...kept.values()]
const firsts = () => samples().flatMap(({ rows }) => rows.map(([tensor]) => Buffer.from(tensor?.data ?? []).readFloatLE()))
const until = async (what: () => boolean): Promise<void> => {
  for (let turn = 0; turn < 400 && !what(); turn += 1) await new Promise((resolve) => setTimeout(resolve, 25))
  expect(what()).toBe(true)
}

describe('a process deployment that keeps requests', () => {
  test('hands them over when it goes to sleep: inputs by row, of calls that were answered', async () => {
    start(60_000)
    const recording = target({ rows: 16 })
    await bench.deployer.deploy(recording)
    await call(recording, [1, 0, 0, 0])
    await call(recording, [2, 0, 0, 0], [3, 0, 0, 0])
    expect((await call(recording, [4, 0])).status).toBe(400)
    expect(kept.size).toBe(0)
    await bench.deployer.hibernate(recording)
    expect(samples()).toMatchObject([{ seen: 3, rows: [[{ datatype: 'FP32', shape: [1, 4] }], [{}], [{}]] }])
    expect(firsts().sort()).toEqual([1, 2, 3])
    expect([...kept.keys()][0]).toMatch(/^org_1\/dep_1\/[0-9a-z]{9}-[0-9a-f]{8}$/)
  })

  test('hands them over now and then, and not when nothing came', async () => {
    start(20)
    const recording = target({ rows: 2 })
    await bench.deployer.deploy(recording)
    await call(recording, [7, 0, 0, 0])
    await until(() => samples()[0]?.seen === 1)
    const before = writes
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(writes).toBe(before)
    for (let at = 0; at < 20; at += 1) await call(recording, [at, 0, 0, 0])
    await until(() => samples()[0]?.seen === 21)
    expect(samples()[0]?.rows).toHaveLength(2)
    expect(kept.size).toBe(1)
  })

  test('keeps none unless it says so, nor any more once a revision says no', async () => {
    start(20)
    const silent = target(null)
    await bench.deployer.deploy(silent)
    await call(silent, [1, 0, 0, 0])
    const recording = target({ rows: 4 }, 2)
    await bench.deployer.deploy(recording)
    await call(recording, [2, 0, 0, 0])
    await bench.deployer.deploy(target(null, 3))
    await until(() => samples().length === 1)
    await call(target(null, 3), [3, 0, 0, 0])
    await new Promise((resolve) => setTimeout(resolve, 100))
    await bench.deployer.stop()
    expect(firsts()).toEqual([2])
  })

  test('is of a deployer that has a place for them', () => {
    bench = deployerBench({ startInstance })
    expect(bench.deployer.capabilities.records_requests).toBe(false)
  })
})
