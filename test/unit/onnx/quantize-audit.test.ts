import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { observe, rangesOf } from '../../../layers/onnx/calibrate/calibrate.ts'
import type { ModelProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { makeNode } from '../../../layers/onnx/graph/build.ts'
import { assertFused, auditFusion } from '../../../layers/onnx/quantize/audit.ts'
import { quantizeStatic } from '../../../layers/onnx/quantize/static/quantize-static.ts'
import { defaultStaticSettings, type StaticSettings } from '../../../layers/onnx/quantize/static/settings.ts'
import { quantizeWeightsOnly } from '../../../layers/onnx/quantize/weight-only.ts'
import { copyOf, model, seededGraphs, sqnrOf } from './seeded-graphs.ts'

const folder = mkdtempSync(join(tmpdir(), 'audit-'))
afterAll(() => rmSync(folder, { recursive: true }))
const scratch = join(folder, 'fused.onnx')
const audit = (candidate: ModelProto) => auditFusion(encodeModel(candidate), scratch)

const { weight, sample } = seededGraphs(5)
const biased = (shape: (number | string)[]) =>
  model(
    [
      makeNode('MatMul', ['x', 'w'], ['m'], { name: 'first product' }),
      makeNode('Add', ['m', 'b'], ['a'], { name: 'first bias' }),
      makeNode('Erf', ['a'], ['y']),
    ],
    [weight('w', [32, 48]), weight('b', [48])],
    shape,
  )

async function quantized(original: ModelProto, samples: ReturnType<typeof sample>[], settings: Partial<StaticSettings> = {}) {
  const ranges = rangesOf(await observe(copyOf(original), samples), { method: 'min_max' })
  const changed = copyOf(original)
  quantizeStatic(changed, ranges, { ...defaultStaticSettings, ...settings })
  return { changed, sqnr_db: await sqnrOf(original, changed, samples) }
}

describe('the fusion audit', () => {
  it.each([
    { shape: [8, 32], fused: 'QGemm' },
    { shape: ['n', 32], fused: 'QGemm' },
    { shape: [1, 8, 32], fused: 'QGemm' },
    { shape: ['n', 't', 32], fused: 'MatMulIntegerToFloat' },
  ])('passes MatMul and its bias of input $shape, which become $fused', async ({ shape, fused }) => {
    const dims = shape.length === 2 ? [8, 32] : [1, 8, 32]
    const { changed, sqnr_db } = await quantized(biased(shape), [sample(dims), sample(dims)])
    const found = await audit(changed)
    expect(found.leftovers).toEqual([])
    expect(found.operators[fused]).toBe(1)
    expect(() => assertFused(found)).not.toThrow()
    expect(sqnr_db).toBeGreaterThan(30)
  })

  it('names the nodes that would still multiply floats when the bias was left out', async () => {
    const { changed } = await quantized(biased([8, 32]), [sample([8, 32])], { quantize_bias: false })
    const found = await audit(changed)
    expect(found.leftovers).toHaveLength(1)
    expect(found.leftovers[0]?.weight).toBe('w_quantized')
    expect(found.leftovers[0]?.nodes.join()).toContain('first product')
    expect(() => assertFused(found)).toThrow(
      /1 weights would be dequantized at every run, read by .*first product.* \(w_quantized\)/,
    )
  })

  it('sees weight-only models for what they are: products find a kernel, convolutions do not', async () => {
    const product = biased([8, 32])
    quantizeWeightsOnly(product, { min_elements: 1 })
    const found = await audit(product)
    expect(found.leftovers).toEqual([])
    expect(found.operators.MatMulNBits).toBe(1)
    const image = model(
      [makeNode('Conv', ['x', 'w'], ['y'], { name: 'the convolution' })],
      [weight('w', [8, 4, 3, 3])],
      [1, 4, 9, 9],
    )
    quantizeWeightsOnly(image, { min_elements: 1 })
    expect((await audit(image)).leftovers).toEqual([{ nodes: ['the convolution'], weight: 'w_int8' }])
  })

  it('leaves no file behind, also when the model does not load', async () => {
    await audit(biased([8, 32]))
    expect(existsSync(scratch)).toBe(false)
    await expect(auditFusion(Uint8Array.of(1, 2, 3), scratch)).rejects.toThrow(/does not load the candidate/)
    expect(existsSync(scratch)).toBe(false)
  })
})
