import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Deployment } from '../../../layers/core/domain/deployment.ts'
import { recordingWithin, rowShares } from '../../../layers/core/domain/recorded-rows.ts'
import { assertSettings } from '../../../layers/core/usecases/check-deployable.ts'
import { deploymentKey, putDeployment } from '../../../layers/core/usecases/deployment-records.ts'
import {
  findRecordedRequests,
  keepRecordedRequests,
  noteRecording,
  sweepRecordedRequests,
} from '../../../layers/core/usecases/recorded-requests.ts'
import { writeRows } from '../../../layers/core/usecases/write-rows.ts'
import { openDataset } from '../../../layers/onnx/evaluate/dataset.ts'
import { createRecorder } from '../../../layers/serving/recorder.ts'
import { deployTarget } from '../../support/deployments.ts'
import { type ModelStore, modelStore, prefixInspector } from '../../support/model-store.ts'

/** Samples of requests, from model processes to a file that optimisations read. */

let store: ModelStore
beforeEach(() => {
  store = modelStore(prefixInspector(() => ''))
})
afterEach(() => store.close())

const name = { organization_id: 'org_1', id: 'dep_1' }
const { deployment: plain } = deployTarget(import.meta.filename)
const deploy = async (change: Partial<Deployment>): Promise<void> => {
  const before = await store.records.get(deploymentKey(name))
  const noted = change.record_requests ? [noteRecording(name)] : []
  await store.records.write([putDeployment({ ...plain, ...change }, before?.version, store.now()), ...noted])
}
const sampleOf = (rows: number[][], shape = (row: number[]) => [1, row.length]): Uint8Array => {
  const recorder = createRecorder({ rows: 1024 })
  for (const row of rows)
    recorder.note([{ name: 'x', datatype: 'FP32', shape: shape(row), data: new Uint8Array(Float32Array.from(row).buffer) }])
  return Buffer.concat(recorder.sample() ?? [])
}
const find = () => findRecordedRequests(store, 'org_1', 'dep_1', (file_name) => `optimizations/org_1/opt_1/${file_name}`)
const port = { name: 'x', type: 'float32', shape: [-1, -1] }
const readBack = async (storage_path: string): Promise<number[][]> => {
  const { path, release } = await store.artifacts.asFile(storage_path)
  const set = openDataset(path, [port])
  const rows = Array.from({ length: set.count }, (_, at) => {
    const value = set.row(at).x
    return value && 'bytes' in value ? [...new Float32Array(Uint8Array.from(value.bytes).buffer)] : []
  })
  await release()
  return rows
}

describe('a deployment that keeps a sample of its requests', () => {
  it('gives it as one file, of all its processes', async () => {
    await deploy({ record_requests: { rows: 8 } })
    await keepRecordedRequests(store, name, 'a', sampleOf([[1, 2]]))
    await keepRecordedRequests(
      store,
      name,
      'a',
      sampleOf([
        [1, 2],
        [3, 4],
      ]),
    )
    await keepRecordedRequests(store, name, 'b', sampleOf([[5, 6]]))
    const found = await find()
    expect(found).toEqual({ storage_path: 'optimizations/org_1/opt_1/recorded.npz', rows: 3 })
    expect((await readBack(found.storage_path)).sort()).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
  })
  it('gives rows of different shapes as lines', async () => {
    await deploy({ record_requests: { rows: 8 } })
    await keepRecordedRequests(store, name, 'a', sampleOf([[1], [2.5, -3]]))
    const found = await find()
    expect(found.storage_path).toMatch(/recorded\.jsonl$/)
    expect(await readBack(found.storage_path)).toEqual([[1], [2.5, -3]])
  })
  it('gives no more than it was told to keep, each process its share', () => {
    const [busy, idle, few] = [
      { seen: 900, rows: 10 },
      { seen: 100, rows: 10 },
      { seen: 1000, rows: 1 },
    ]
    expect(rowShares([busy, idle], 10)).toEqual([9, 1])
    expect(rowShares([busy, idle, few], 10)).toEqual([9, 0, 1])
    expect(rowShares([idle], 1024)).toEqual([10])
    expect(rowShares([], 5)).toEqual([])
  })
  it('gives no more bytes than one process may keep, however many they were', async () => {
    await deploy({ record_requests: { rows: 1024 } })
    const large = Array.from({ length: 2 ** 20 }, (_, at) => at)
    const sample = sampleOf(Array.from({ length: 6 }, () => large))
    for (const writer of ['a', 'b', 'c', 'd']) await keepRecordedRequests(store, name, writer, sample)
    expect((await find()).rows).toBe(16)
  })
  it('leaves out whole numbers that JSON would round', async () => {
    const row = (value: bigint) => [
      { name: 'n', datatype: 'INT64', shape: [1], data: new Uint8Array(BigInt64Array.of(value).buffer) },
      { name: 'x', datatype: 'UINT8', shape: [2], data: Uint8Array.of(1, 2) },
    ]
    const written = writeRows([row(-5n), row(2n ** 53n - 1n), row(2n ** 60n + 1n)])
    expect(written.rows).toBe(2)
    const inputs = Buffer.from(written.bytes)
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).inputs.n.data)
    expect(inputs).toEqual([[-5], [2 ** 53 - 1]])
  })
  it('leaves out rows whose numbers JSON cannot write', async () => {
    await deploy({ record_requests: { rows: 8 } })
    await keepRecordedRequests(store, name, 'a', sampleOf([[1], [Number.NaN, 2], [Number.POSITIVE_INFINITY], [3, 4]]))
    const found = await find()
    expect(found.rows).toBe(2)
    expect(await readBack(found.storage_path)).toEqual([[1], [3, 4]])
  })
  it('has none before a request came, and bounded files after many processes', async () => {
    await deploy({ record_requests: { rows: 8 } })
    await expect(find()).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('has kept no request yet') })
    for (let at = 0; at < 40; at += 1)
      await keepRecordedRequests(store, name, `w${String(at).padStart(3, '0')}`, sampleOf([[at]]))
    const kept = await store.artifacts.list('samples/org_1/dep_1/')
    expect(kept).toHaveLength(32)
    expect(kept.toSorted()[0]).toBe('samples/org_1/dep_1/w008.rows')
  })
  it('keeps nothing unless it says so, and nothing any more once it says no', async () => {
    await deploy({})
    await keepRecordedRequests(store, name, 'a', sampleOf([[1]]))
    expect(store.files()).toEqual([])
    await expect(find()).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('record_requests') })
    await deploy({ record_requests: { rows: 8 } })
    await keepRecordedRequests(store, name, 'a', sampleOf([[1]]))
    expect(await sweepRecordedRequests(store)).toBe(0)
    await deploy({ record_requests: null })
    await expect(find()).rejects.toMatchObject({ code: 'conflict' })
    expect(await sweepRecordedRequests(store)).toBe(1)
    expect(store.files()).toEqual([])
    expect(await sweepRecordedRequests(store)).toBe(0)
  })
  it('leaves nothing when it is deleted, and is unknown to others', async () => {
    await deploy({ record_requests: { rows: 8 } })
    await keepRecordedRequests(store, name, 'a', sampleOf([[1]]))
    await expect(findRecordedRequests(store, 'org_2', 'dep_1', (file) => file)).rejects.toMatchObject({ code: 'not_found' })
    await deploy({ record_requests: { rows: 8 }, status: 'deleted' })
    await keepRecordedRequests(store, name, 'b', sampleOf([[1]]))
    await expect(find()).rejects.toMatchObject({ code: 'not_found' })
    expect(await sweepRecordedRequests(store)).toBe(1)
    expect(store.files()).toEqual([])
  })
  it('keeps no more than a sixteenth of its memory', () => {
    expect(recordingWithin({ rows: 8, rate: 0.5 }, 128 * 2 ** 20)).toEqual({ rows: 8, rate: 0.5, max_bytes: 8 * 2 ** 20 })
    expect(recordingWithin({ rows: 8 }, 2 ** 40)?.max_bytes).toBe(64 * 2 ** 20)
    expect(recordingWithin(null, 2 ** 30)).toBeUndefined()
  })
  it('is of a type that can', () => {
    const settings = { safeParse: () => ({ success: true }) }
    const deployer = { type: 'custom', settings, capabilities: { max_memory_bytes: 2 ** 40, max_timeout_s: 1000, gpu: true } }
    const spec = { ...plain, record_requests: { rows: 8 } }
    expect(() => assertSettings(deployer as never, spec)).toThrow(
      '/record_requests: deployments of type custom keep no requests; wanted null',
    )
    expect(() =>
      assertSettings({ ...deployer, capabilities: { ...deployer.capabilities, records_requests: true } } as never, spec),
    ).not.toThrow()
  })
})
