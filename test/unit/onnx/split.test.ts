import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { judgeRows } from '../../../layers/onnx/evaluate/judge-rows.ts'
import { fitRows, splitCalibration, splitEvaluation, spread } from '../../../layers/onnx/evaluate/split.ts'
import { type Feeds, numbersOf, type TensorPort } from '../../../layers/onnx/evaluate/tensors.ts'
import { npyBytes, npzBytes } from '../../support/arrays.ts'
import { denseModel, identityModel, writeModel } from '../../support/models.ts'

const folder = mkdtempSync(join(tmpdir(), 'split-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string, bytes: Uint8Array) => writeModel(join(folder, name), bytes)
const model_path = file('dense.onnx', denseModel([2, 3]))
const ports: TensorPort[] = [{ name: 'x', type: 'float32', shape: ['batch', 2] }]

/** Rows [at, 0] with label at, for at from `first`. */
const numbered = (name: string, count: number, first = 0) => {
  const places = Array.from({ length: count }, (_, at) => first + at)
  const x = npyBytes('<f4', [count, 2], new Uint8Array(Float32Array.from(places.flatMap((at) => [at, 0])).buffer))
  const labels = npyBytes('<i4', [count], new Uint8Array(Int32Array.from(places).buffer))
  return file(name, npzBytes({ 'x.npy': x, 'labels.npy': labels }, 8))
}
const placeOf = (feeds: Feeds) => numbersOf(feeds.x!)![0]!
const judged = (calibration_path: string | null, evaluation_path: string | null) => {
  const rows = judgeRows({ calibration_path, evaluation_path }, ports)
  if (!rows) throw new Error('no data')
  const all = Array.from({ length: rows.count }, (_, index) => rows.row(index))
  for (const [index, feeds] of all.entries())
    expect([rows.label?.(index), rows.place(index)]).toEqual([placeOf(feeds), rows.place(index)])
  return { places: all.map(placeOf), shared: all.filter(rows.isFitted).length }
}
const sorted = (places: readonly number[]) => places.toSorted((a, b) => a - b)
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at)

describe('which rows fit and which judge', () => {
  it.each([
    1, 2, 3, 8, 64, 100, 127, 128, 191, 192, 1000, 10_000,
  ])('covers all of %i rows, nothing twice unless it says so', (count) => {
    for (const split of [splitEvaluation(count), splitCalibration(count)]) {
      expect(new Set(split.judge).size).toBe(split.judge.length)
      expect(sorted([...new Set([...split.judge, ...split.fit])])).toEqual(range(0, count))
      expect(split.judge.some((at) => split.fit.includes(at))).toBe(split.shared)
      expect(split.shared).toBe(count < split.enough)
      if (!split.shared) expect(Math.min(split.judge.length, split.fit.length)).toBeGreaterThanOrEqual(64)
    }
  })

  it('takes a fifth of evaluation data to fit, 64 to 1,024 rows', () => {
    expect([128, 200, 1000, 10_000].map((count) => splitEvaluation(count).fit.length)).toEqual([64, 64, 200, 1024])
  })

  it('spreads every beginning over all', () => {
    const quarters = spread(1000)
      .slice(0, 40)
      .map((at) => Math.floor(at / 250))
    for (const quarter of [0, 1, 2, 3]) expect(quarters.filter((each) => each === quarter).length).toBeGreaterThanOrEqual(9)
  })
})

describe('rows of files', () => {
  it('of calibration alone: the first 128 judge, the others fit', async () => {
    const calibration_path = numbered('calibration.npz', 300)
    const fit = await fitRows({ model_path, calibration_path, most: 4096 })
    expect(sorted(fit.samples.map(placeOf))).toEqual(range(128, 300))
    expect(fit.labels).toEqual(fit.samples.map(placeOf))
    expect(fit).toMatchObject({ inputs: 'supplied', note: 'fitted on 172 supplied rows, judged by 128 others' })
    const { places, shared } = judged(calibration_path, null)
    expect([sorted(places), shared]).toEqual([range(0, 128), 0])
  })

  it('of evaluation alone: a part that nobody judges by fits', async () => {
    const evaluation_path = numbered('evaluation.npz', 500)
    const fit = await fitRows({ model_path, calibration_path: null, evaluation_path, most: 4096 })
    const { places, shared } = judged(null, evaluation_path)
    expect([fit.samples.length, places.length, shared]).toEqual([100, 400, 0])
    expect(sorted([...places, ...fit.samples.map(placeOf)])).toEqual(range(0, 500))
    const less = await fitRows({ model_path, calibration_path: null, evaluation_path, most: 10 })
    expect(less.samples.map(placeOf)).toEqual(fit.samples.slice(0, 10).map(placeOf))
  })

  it('of both: each does its part, and rows that do both are counted', async () => {
    const [calibration_path, evaluation_path] = [numbered('fit.npz', 150), numbered('judge.npz', 100, 120)]
    const fit = await fitRows({ model_path, calibration_path, evaluation_path, most: 4096 })
    expect([fit.samples.length, fit.note]).toEqual([150, 'fitted on 150 calibration rows'])
    const { places, shared } = judged(calibration_path, evaluation_path)
    expect([sorted(places), shared]).toEqual([range(120, 220), 30])
  })

  it('all judge where nothing is fitted', () => {
    const path = numbered('unfitted.npz', 500)
    for (const paths of [
      { calibration_path: null, evaluation_path: path },
      { calibration_path: path, evaluation_path: null },
    ]) {
      const rows = judgeRows({ ...paths, unfitted: true }, ports)
      const places = Array.from({ length: rows?.count ?? 0 }, (_, index) => rows?.place(index) ?? -1)
      expect(sorted(places)).toEqual(range(0, 500))
      expect(rows && places.some((_, index) => rows.isFitted(rows.row(index)))).toBe(false)
    }
  })

  it('of one sample name no number as one', async () => {
    const { note } = await fitRows({ model_path, calibration_path: numbered('one.npz', 1), most: 9 })
    expect(note).toBe('fitted on the 1 supplied row it is judged by; 192 or more keep them apart')
  })

  it('too few to part do both, and say so', async () => {
    const path = numbered('few.npz', 90)
    const calibrated = await fitRows({ model_path, calibration_path: path, most: 4096 })
    expect(calibrated.note).toBe('fitted on the 90 supplied rows it is judged by; 192 or more keep them apart')
    const evaluated = await fitRows({ model_path, calibration_path: null, evaluation_path: path, most: 4096 })
    expect(evaluated.note).toBe('fitted on the 90 supplied rows it is judged by; 128 or more keep them apart')
    expect([judged(path, null).shared, judged(null, path).shared]).toEqual([90, 90])
  })

  it('are made up where there are none, which is said, and refused where they do not fit', async () => {
    const { samples, inputs, note } = await fitRows({ model_path, calibration_path: null, most: 30 })
    expect([samples.length, inputs]).toEqual([30, 'generated'])
    expect(note).toContain('generated inputs')
    expect(judgeRows({ calibration_path: null }, ports)).toBeNull()
    const other = file('other.onnx', identityModel('FP32', ['n', 5]))
    await expect(fitRows({ model_path: other, calibration_path: numbered('wrong.npz', 5), most: 9 })).rejects.toMatchObject({
      name: 'ArrayFault',
      message: 'The array for input x has shape [5,2]; wanted [samples, 5]',
    })
  })
})
