import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { fidelityMeter } from '../../../layers/onnx/evaluate/fidelity.ts'
import { generatedRow, inputPlans } from '../../../layers/onnx/evaluate/inputs.ts'
import { ArrayFault } from '../../../layers/onnx/evaluate/npy.ts'
import { readArrays } from '../../../layers/onnx/evaluate/npz.ts'
import { numbersOf, type TensorPort } from '../../../layers/onnx/evaluate/tensors.ts'
import { int8SupportOf } from '../../../layers/onnx/probe/isa.ts'
import { npyBytes, npzBytes } from '../../support/arrays.ts'

const folder = mkdtempSync(join(tmpdir(), 'arrays-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const read = (bytes: Uint8Array) => {
  const path = join(folder, 'file.npz')
  writeFileSync(path, bytes)
  return readArrays(path)
}
const floats = (values: number[]) => new Uint8Array(Float32Array.from(values).buffer)

describe('arrays of NumPy', () => {
  it.each([0, 8])('come out of an .npz of method %i as they went in', (method) => {
    const a = npyBytes('<f4', [2, 3], floats([1, 2, 3, 4, 5, 6]))
    const ids = npyBytes('<i8', [2], new Uint8Array(BigInt64Array.of(-1n, 2n ** 40n).buffer))
    const arrays = read(npzBytes({ 'a.npy': a, 'ids.npy': ids }, method))
    expect(Object.keys(arrays)).toEqual(['a', 'ids'])
    expect(arrays.a).toMatchObject({ type: 'float32', dims: [2, 3] })
    expect([...(numbersOf(arrays.a!) ?? [])]).toEqual([1, 2, 3, 4, 5, 6])
    expect([...(numbersOf(arrays.ids!) ?? [])]).toEqual([-1, 2 ** 40])
  })

  it('come from a bare .npy too, scalars included', () => {
    expect(read(npyBytes('|u1', [], Uint8Array.of(7)))).toMatchObject({ '': { type: 'uint8', dims: [] } })
  })

  it.each([
    ['big-endian', npyBytes('>f4', [1], floats([1])), 'big-endian'],
    ['objects', npyBytes('|O', [1], floats([1])), 'element type'],
    ['Fortran order', npyBytes('<f4', [1, 1], floats([1]), true), 'Fortran order'],
    ['too few bytes', npyBytes('<f4', [3], floats([1])), 'holds 4 bytes of data; wanted 12'],
    ['an absurd shape', npyBytes('<f4', [1e9, 1e9], floats([1])), 'impossible shape'],
  ])('with %s are refused with the reason', (_, bytes, reason) => {
    expect(() => read(npzBytes({ 'a.npy': bytes }, 0))).toThrow(reason)
  })

  it('never crash the reader, whatever the bytes', () => {
    const good = npzBytes({ 'a.npy': npyBytes('<f4', [4], floats([1, 2, 3, 4])) }, 8)
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 }),
        fc.nat(good.length),
        (flips, length) => {
          const bytes = Uint8Array.from(good.subarray(0, length))
          for (const [at, value] of flips) if (at < bytes.length) bytes[at] = value
          try {
            read(bytes)
          } catch (error) {
            expect(error).toBeInstanceOf(ArrayFault)
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('generated inputs', () => {
  const image: TensorPort = { name: 'x', type: 'float32', shape: ['N', 3, 'H', 'W'] }
  const ids: TensorPort = { name: 'input_ids', type: 'int64', shape: ['N', 'L'] }
  const mask: TensorPort = { name: 'attention_mask', type: 'int64', shape: ['N', 'L'] }

  it('are the same for the same seed and others for another', () => {
    const plan = inputPlans([image])[0]!
    expect(generatedRow([image], plan, 4)).toEqual(generatedRow([image], plan, 4))
    expect(generatedRow([image], plan, 4)).not.toEqual(generatedRow([image], plan, 5))
  })

  it('fill the batch with one, token ids with small numbers and masks with ones', () => {
    const row = generatedRow([ids, mask], { image_size: 64, sequence_size: 12, integer_limit: 100 }, 0)
    expect(row.input_ids?.dims).toEqual([1, 12])
    const values = [...(numbersOf(row.input_ids!) ?? [])]
    expect(Math.max(...values)).toBeLessThan(100)
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0)
    expect(new Set(numbersOf(row.attention_mask!))).toEqual(new Set([1]))
  })

  it('are normal, white for even seeds and smooth for odd ones', () => {
    const fixed: TensorPort = { name: 'x', type: 'float32', shape: [1, 20_000] }
    const figures = [0, 1].map((seed) => {
      const values = [...(numbersOf(generatedRow([fixed], inputPlans([fixed])[0]!, seed).x!) ?? [])]
      const mean = values.reduce((a, b) => a + b, 0) / values.length
      const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length
      const next = values.slice(1).reduce((sum, value, at) => sum + value * (values[at] ?? 0), 0) / values.length / variance
      return { mean, variance, next }
    })
    expect(figures[0]).toMatchObject({ mean: expect.closeTo(0, 1), variance: expect.closeTo(1, 1), next: expect.closeTo(0, 1) })
    expect(figures[1]?.next).toBeGreaterThan(0.9)
  })

  it('offer several sizes only where something is free', () => {
    expect(inputPlans([{ name: 'x', type: 'float32', shape: [1, 3] }])).toHaveLength(1)
    expect(inputPlans([image]).length).toBeGreaterThan(3)
  })
})

describe('fidelity', () => {
  const tensor = (values: number[], dims: number[]) => ({ type: 'float32', dims, bytes: floats(values) })
  const figures = (wanted: number[], got: number[], dims: number[], class_output?: string | null) => {
    const meter = fidelityMeter(class_output)
    meter.add({ y: tensor(wanted, dims) }, { y: tensor(got, dims) })
    return meter.figures()
  }

  it('is signal over error in dB, and the angle between the two', () => {
    const { sqnr_db, cosine, max_abs_error } = figures([3, 4], [3, 4.5], [2])
    expect(sqnr_db).toBeCloseTo(10 * Math.log10(25 / 0.25), 5)
    expect(cosine).toBeCloseTo((9 + 18) / Math.sqrt(25 * (9 + 20.25)), 6)
    expect(max_abs_error).toBeCloseTo(0.5, 6)
  })

  it('counts decisions by row for [N, C] outputs, by position for a declared one', () => {
    expect(figures([0, 1, 5, 2], [1, 0, 6, 2], [2, 2])).toMatchObject({ top1_agreement: 0.5, decisions: 2 })
    expect(figures([0, 1, 5, 2], [0, 2, 6, 2], [1, 2, 2]).top1_agreement).toBeNull()
    expect(figures([0, 1, 5, 2], [0, 2, 6, 2], [1, 2, 2], 'y').top1_agreement).toBe(1)
  })

  it('calls outputs broken that are no numbers any more, are gone or have another shape', () => {
    expect(figures([1, 2], [1, Number.NaN], [2])).toMatchObject({ sqnr_db: -200, max_abs_error: null })
    const meter = fidelityMeter()
    meter.add({ y: tensor([1, 2], [1, 2]) }, {})
    expect(meter.figures()).toMatchObject({ sqnr_db: -200, top1_agreement: 0 })
    const reshaped = fidelityMeter()
    reshaped.add({ y: tensor([1, 2], [1, 2]) }, { y: tensor([1, 2], [2, 1]) })
    expect(reshaped.figures().sqnr_db).toBe(-200)
  })

  it('says nothing where there is nothing: silence on both sides, no decision that is a number', () => {
    expect(figures([0, 0], [0, 0], [2]).sqnr_db).toBeNull()
    const nothing = { top1_agreement: null, decisions: 0, classes_seen: 0 }
    expect(figures([Number.NaN, 1], [Number.NaN, 1], [1, 2])).toMatchObject(nothing)
    expect(figures([2, 1], [Number.NaN, 1], [1, 2])).toMatchObject({ top1_agreement: 0, decisions: 1 })
  })

  it('counts labels where no scores decide: whole numbers and texts, each for itself', () => {
    const whole = (...values: number[]) => ({
      type: 'int32',
      dims: [values.length],
      bytes: new Uint8Array(Int32Array.from(values).buffer),
    })
    const meter = fidelityMeter()
    meter.add({ label: whole(1, 2, 3, 3) }, { label: whole(1, 2, 3, 4) })
    meter.add({ label: whole(1) }, {})
    expect(meter.figures()).toMatchObject({ sqnr_db: null, top1_agreement: 0.6, decisions: 5, classes_seen: 3 })
    const texts = fidelityMeter('label')
    texts.add(
      { label: { type: 'string', dims: [2], texts: ['cat', 'dog'] } },
      { label: { type: 'string', dims: [2], texts: ['cat', 'cow'] } },
    )
    expect(texts.figures().top1_agreement).toBe(0.5)
    const both = fidelityMeter()
    both.add({ y: tensor([1, 2], [1, 2]), count: whole(7) }, { y: tensor([1, 2], [1, 2]), count: whole(8) })
    expect(both.figures()).toMatchObject({ top1_agreement: 1, decisions: 1 })
    expect(fidelityMeter(null).figures().top1_agreement).toBeNull()
  })

  it('counts how many different answers the original gave', () => {
    expect(figures([0, 1, 5, 2], [1, 0, 6, 2], [2, 2]).classes_seen).toBe(2)
    expect(figures([0, 1, 1, 2], [0, 1, 6, 2], [2, 2]).classes_seen).toBe(1)
  })
})

it('reads from /proc/cpuinfo how a machine multiplies int8', () => {
  expect(int8SupportOf('flags\t\t: fpu avx2 avx512_vnni\n', 'x64')).toBe('vnni')
  expect(int8SupportOf('flags\t\t: fpu avx avx2\n', 'x64')).toBe('avx2')
  expect(int8SupportOf('Features\t: fp asimddp\n', 'arm64')).toBe('arm')
  expect(int8SupportOf('', 'x64')).toBe('unknown')
})
