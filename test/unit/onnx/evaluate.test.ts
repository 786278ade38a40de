import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type CompareOptions, compare } from '../../../layers/onnx/evaluate/compare.ts'
import { percentile } from '../../../layers/onnx/evaluate/latency-interval.ts'
import { startRunner } from '../../../layers/onnx/evaluate/runner.ts'
import { type Feeds, numbersOf } from '../../../layers/onnx/evaluate/tensors.ts'
import { npyBytes, npzBytes } from '../../support/arrays.ts'
import { denseModel, identityModel, loopModel, memoryModel, writeModel } from '../../support/models.ts'
import { realModel } from '../../support/optimization-lab.ts'

const folder = mkdtempSync(join(tmpdir(), 'evaluate-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string, bytes: Uint8Array) => writeModel(join(folder, name), bytes)
const one = (value: bigint): { type: string; dims: number[]; bytes: Uint8Array } => ({
  type: 'int64',
  dims: [1],
  bytes: new Uint8Array(BigInt64Array.of(value).buffer),
})
const MEMORY = 600 * 2 ** 20

/** Loads and runs once, answers the fault; fails when there is none. `beats` counts how often this thread came to its turn. */
const faultOf = async (model_path: string, feeds: Feeds, timeout_ms: number) => {
  const runner = startRunner({ model_path, memory_limit_bytes: MEMORY, label: 'The candidate' })
  let beats = 0
  const heart = setInterval(() => {
    beats += 1
  }, 5)
  try {
    await runner.load(10_000)
    await runner.run(feeds, { timeout_ms })
    throw new Error('the model ran')
  } catch (error) {
    return { error, beats }
  } finally {
    clearInterval(heart)
    await runner.stop()
  }
}

describe('a model in a process of its own', () => {
  it('is killed by the wall clock when it never ends, while this thread goes on', async () => {
    const { error, beats } = await faultOf(file('endless.onnx', loopModel(true)), { count: one(1n) }, 400)
    expect(error).toMatchObject({ reason: 'timeout', message: 'The candidate did not answer within 400 ms and was stopped' })
    expect(beats).toBeGreaterThan(2)
  })

  it('is killed before it fills the memory', async () => {
    const { error } = await faultOf(file('huge.onnx', memoryModel()), { size: one(20_000_000_000n) }, 20_000)
    expect(error).toMatchObject({ message: expect.stringContaining('The candidate') })
    // Where the allocator refuses 80 GB outright the runtime says so itself; else the watch on its memory does.
    expect(error).toMatchObject({ reason: expect.stringMatching(/^(memory|model_error)$/) })
  })

  it('is killed at its memory limit when the allocator would give it more', async () => {
    const { error } = await faultOf(file('large.onnx', memoryModel()), { size: one(1_000_000_000n) }, 20_000)
    expect(error).toMatchObject({ reason: 'memory', message: expect.stringContaining(`wanted at most ${MEMORY}`) })
  })

  const bytesOf = (values: ArrayBufferView) => new Uint8Array(values.buffer)
  it.each([
    ['FP16', 'float16', bytesOf(Uint16Array.of(0x3c00, 0xc000, 0x3800)), [1, -2, 0.5]],
    ['FP64', 'float64', bytesOf(Float64Array.of(1, -2, 0.1)), [1, -2, 0.1]],
    ['UINT8', 'uint8', Uint8Array.of(1, 255, 3), [1, 255, 3]],
    ['INT8', 'int8', Uint8Array.of(1, 255, 3), [1, -1, 3]],
    ['UINT16', 'uint16', bytesOf(Uint16Array.of(1, 65_535, 3)), [1, 65_535, 3]],
    ['INT32', 'int32', bytesOf(Int32Array.of(1, -2, 3)), [1, -2, 3]],
    ['UINT32', 'uint32', bytesOf(Uint32Array.of(1, 4_000_000_000, 3)), [1, 4_000_000_000, 3]],
    ['UINT64', 'uint64', bytesOf(BigUint64Array.of(1n, 2n, 3n)), [1, 2, 3]],
    ['BOOL', 'bool', Uint8Array.of(1, 0, 1), [1, 0, 1]],
  ] as const)('takes and gives %s', async (datatype, type, bytes, wanted) => {
    const model_path = file(`${type}.onnx`, identityModel(datatype, ['n']))
    const runner = startRunner({ model_path, memory_limit_bytes: MEMORY })
    try {
      await runner.load(10_000)
      const { outputs } = await runner.run({ x: { type, dims: [3], bytes } }, { want_outputs: true, timeout_ms: 5000 })
      if (!outputs.y) throw new Error('no output')
      expect([outputs.y.type, [...(numbersOf(outputs.y) ?? [])]]).toEqual([type, wanted])
    } finally {
      await runner.stop()
    }
  })

  it('says what the runtime refused, and can be asked again', async () => {
    const runner = startRunner({ model_path: file('dense.onnx', denseModel([8, 4])), memory_limit_bytes: MEMORY })
    try {
      const { inputs } = await runner.load(10_000)
      expect(inputs).toEqual([{ name: 'x', type: 'float32', shape: ['batch', 8] }])
      const wrong = { x: { type: 'float32', dims: [1, 3], bytes: new Uint8Array(12) } }
      await expect(runner.run(wrong, { timeout_ms: 5000 })).rejects.toMatchObject({ reason: 'model_error' })
      const right = { x: { type: 'float32', dims: [1, 8], bytes: new Uint8Array(32) } }
      const { outputs, latencies_ms } = await runner.run(right, { runs: 3, want_outputs: true, timeout_ms: 5000 })
      expect(outputs.y).toMatchObject({ type: 'float32', dims: [1, 4] })
      expect(latencies_ms).toHaveLength(3)
    } finally {
      await runner.stop()
    }
  })

  it('that is no model is refused at loading', async () => {
    const { error } = await faultOf(file('junk.onnx', Uint8Array.of(1, 2, 3, 4)), {}, 1000)
    expect(error).toMatchObject({ reason: 'model_error' })
  })
})

const options = (original_path: string, candidate_path: string, changes: Partial<CompareOptions> = {}): CompareOptions => ({
  original_path,
  candidate_path,
  budget_ms: 200,
  threads: 1,
  memory_limit_bytes: 2 ** 31,
  load_limit_ms: 20_000,
  run_limit_ms: 5000,
  ...changes,
})

describe('comparing two models', () => {
  it('finds a model the same as itself, with enough runs of both', async () => {
    const path = realModel('alexa_v0.1.onnx')
    const { original, candidate, fidelity, row_shapes } = await compare(options(path, path, { budget_ms: 1000 }))
    expect(fidelity).toMatchObject({ sqnr_db: 200, max_abs_error: 0, rows: 128, inputs: 'generated' })
    expect(row_shapes).toEqual({ 'onnx::Flatten_0': [1, 16, 96] })
    for (const side of [original, candidate]) {
      expect(side.runs).toBeGreaterThanOrEqual(30)
      expect(side.p95_ms).toBeGreaterThanOrEqual(side.p50_ms)
      expect(side.rss_bytes).toBeGreaterThan(0)
    }
  })

  it('tells class decisions apart, or not when told that there are none', async () => {
    const [a, b] = [file('a.onnx', denseModel([16, 5])), file('b.onnx', denseModel([16, 32, 5]))]
    const different = await compare(options(a, b))
    expect(different.fidelity.top1_agreement).toBeLessThan(0.9)
    expect(different.fidelity.sqnr_db).toBeLessThan(20)
    expect((await compare(options(a, a))).fidelity.top1_agreement).toBe(1)
    expect((await compare(options(a, a, { class_output: null }))).fidelity.top1_agreement).toBeNull()
  })

  it('guesses sizes a real image model accepts, and takes the caller’s where given', async () => {
    const path = realModel('ch_ppocr_mobile_v2.0_cls_infer.onnx')
    expect((await compare(options(path, path))).row_shapes).toEqual({ x: [1, 3, 224, 224] })
    const given = await compare(options(path, path, { shapes: { x: [1, 3, 48, 192] } }))
    expect(given.row_shapes).toEqual({ x: [1, 3, 48, 192] })
    expect(given.fidelity.top1_agreement).toBe(1)
  })

  it('uses supplied rows, converted to the type the model wants', async () => {
    const path = file('c.onnx', denseModel([3, 2]))
    const doubles = new Uint8Array(Float64Array.of(1, 2, 3, 4, 5, 6).buffer)
    const calibration_path = file('rows.npy', npyBytes('<f8', [2, 3], doubles))
    expect((await compare(options(path, path, { calibration_path }))).fidelity).toMatchObject({ rows: 2, inputs: 'supplied' })
    const short = file('short.npy', npyBytes('<f8', [3, 2], doubles))
    await expect(compare(options(path, path, { calibration_path: short }))).rejects.toThrow(
      'has shape [3,2]; wanted [samples, 3]',
    )
    const others = file(
      'others.npz',
      npzBytes({ 'a.npy': npyBytes('<f8', [2, 3], doubles), 'b.npy': npyBytes('<f8', [2, 3], doubles) }, 0),
    )
    await expect(compare(options(path, path, { calibration_path: others }))).rejects.toThrow('no array for input x; got a, b')
  })

  it('names the side that cannot be run', async () => {
    const good = file('d.onnx', denseModel([4, 2]))
    const bad = file('bad.onnx', Uint8Array.of(9, 9, 9))
    await expect(compare(options(good, bad))).rejects.toMatchObject({
      reason: 'model_error',
      message: expect.stringContaining('The candidate'),
    })
    await expect(compare(options(bad, good))).rejects.toMatchObject({ message: expect.stringContaining('The original') })
  })

  it('asks for data where none can be made up', async () => {
    const path = file('texts.onnx', identityModel('BYTES', ['n']))
    await expect(compare(options(path, path))).rejects.toThrow('supply calibration data')
  })
})

it('takes percentiles by nearest rank', () => {
  expect(percentile([4, 1, 3, 2], 0.5)).toBe(2)
  expect(percentile([4, 1, 3, 2], 0.95)).toBe(4)
  expect(percentile([7], 0.5)).toBe(7)
})
