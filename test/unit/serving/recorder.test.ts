import { describe, expect, it } from 'vitest'
import { readRecordedRows } from '../../../layers/core/domain/recorded-rows.ts'
import type { WireTensor } from '../../../layers/serving/datatypes.ts'
import { createRecorder, type Recorder } from '../../../layers/serving/recorder.ts'

/** What a model process keeps of its inputs. */

/** Mulberry32. */
const seededRandom = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}
const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer)
const call = (...values: number[]): WireTensor[] => [
  { name: 'x', datatype: 'FP32', shape: [values.length, 1], data: floats(...values) },
]
const file = (recorder: Recorder) => readRecordedRows(Buffer.concat(recorder.sample() ?? []))
const valuesOf = (recorder: Recorder): number[] =>
  (file(recorder)?.rows ?? []).map(([tensor]) => Buffer.from(tensor?.data ?? []).readFloatLE())

describe('a sample of the inputs', () => {
  it('holds all rows until it is full, and says how many there were', () => {
    const recorder = createRecorder({ rows: 4 })
    expect(recorder.sample()).toBeUndefined()
    recorder.note(call(1))
    recorder.note(call(2, 3))
    const kept = file(recorder)
    expect(kept?.seen).toBe(3)
    expect(kept?.rows.map(([tensor]) => tensor)).toEqual(
      [1, 2, 3].map((value) => ({ name: 'x', datatype: 'FP32', shape: [1, 1], data: Buffer.from(floats(value)) })),
    )
    expect(recorder.sample()).toBeUndefined()
    recorder.note(call(4))
    expect(file(recorder)?.rows).toHaveLength(4)
  })

  it('is even: every row of a long stream is kept as often as any other', () => {
    const random = seededRandom(7)
    const hits = new Array<number>(60).fill(0)
    const turns = 3000
    for (let turn = 0; turn < turns; turn += 1) {
      const recorder = createRecorder({ rows: 6, random })
      for (let at = 0; at < 60; at += 3) recorder.note(call(at, at + 1, at + 2))
      for (const value of valuesOf(recorder)) hits[value] = (hits[value] ?? 0) + 1
    }
    // Each is kept with probability 1/10; five standard deviations of a binomial of 3000.
    const slack = 5 * Math.sqrt(turns * 0.1 * 0.9)
    expect(Math.max(...hits) - turns / 10).toBeLessThan(slack)
    expect(turns / 10 - Math.min(...hits)).toBeLessThan(slack)
  })

  it('has calls as rows where the first dimension of the model is none of requests', () => {
    const recorder = createRecorder({ rows: 4, splits: false })
    recorder.note(call(1, 2, 3))
    const kept = file(recorder)
    expect(kept?.seen).toBe(1)
    expect(kept?.rows[0]?.[0]).toMatchObject({ shape: [3, 1], data: Buffer.from(floats(1, 2, 3)) })
  })

  it('looks at the share of the calls it was told to', () => {
    const recorder = createRecorder({ rows: 1000, rate: 0.25, random: seededRandom(3) })
    for (let at = 0; at < 2000; at += 1) recorder.note(call(at))
    const seen = file(recorder)?.seen ?? 0
    expect(seen).toBeGreaterThan(400)
    expect(seen).toBeLessThan(600)
  })

  it('stays below its bytes, whatever the size of the rows', () => {
    const recorder = createRecorder({ rows: 100, max_bytes: 50, random: seededRandom(5) })
    for (let at = 0; at < 500; at += 1)
      recorder.note([{ name: 'x', datatype: 'UINT8', shape: [1, (at % 7) + 4], data: new Uint8Array((at % 7) + 4) }])
    const { rows = [], seen } = file(recorder) ?? {}
    expect(rows.length).toBeGreaterThan(3)
    expect(rows.reduce((sum, [tensor]) => sum + (tensor?.data.length ?? 0), 0)).toBeLessThanOrEqual(50)
    expect(seen).toBe(500)
    const tiny = createRecorder({ rows: 2, max_bytes: 3 })
    tiny.note(call(1))
    expect(tiny.sample()).toBeUndefined()
  })

  it('takes a call as one row where its inputs have different ones, and texts as texts', () => {
    const recorder = createRecorder({ rows: 4 })
    recorder.note([
      { name: 'ids', datatype: 'INT8', shape: [2], data: new Uint8Array([1, 2]) },
      { name: 'words', datatype: 'BYTES', shape: [1, 2], data: ['ä', 'b'] },
    ])
    const [row = []] = file(recorder)?.rows ?? []
    expect(row.map(({ shape }) => shape)).toEqual([[2], [1, 2]])
    expect(JSON.parse(Buffer.from(row[1]?.data ?? []).toString())).toEqual(['ä', 'b'])
  })

  it('is a copy: what came over the socket may change', () => {
    const recorder = createRecorder({ rows: 1 })
    const inputs = call(5)
    recorder.note(inputs)
    inputs[0]?.data.fill(0 as never)
    expect(valuesOf(recorder)).toEqual([5])
  })

  it('cut short or of something else is no sample', () => {
    const recorder = createRecorder({ rows: 1 })
    recorder.note(call(5))
    const whole = Buffer.concat(recorder.sample() ?? [])
    expect(readRecordedRows(whole)?.rows).toHaveLength(1)
    for (const bad of [whole.subarray(0, -1), Buffer.concat([whole, whole]), Buffer.from('no rows\n'), Buffer.alloc(0)])
      expect(readRecordedRows(bad)).toBeUndefined()
  })
})
