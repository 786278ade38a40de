import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { AttributeProto } from '../../../layers/onnx/codec/schema.ts'
import { writeModelFile } from '../../../layers/onnx/codec/write-model.ts'
import { floatAttr, intAttr, intsAttr, stringAttr } from '../../../layers/onnx/graph/build.ts'
import { pruneModel } from '../../../layers/onnx/prune/prune-model.ts'
import { answers, type Builder, builder, finished, rows, sqnr } from './prune-cases.ts'

const folder = mkdtempSync(join(tmpdir(), 'prune-fit-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const model_path = join(folder, 'model.onnx')
const candidate_path = join(folder, 'candidate.onnx')

/**
 * Thirty-two channels made of four or six numbers without anything in between say everything many times over: whichever half goes, the
 * other half can say it all, and a fit that is right finds how.
 */
async function cutAndFitted(build: (b: Builder) => string, input: number[], samples: number) {
  const b = builder(31)
  const model = finished(b, input, [build(b)])
  writeModelFile(model, model_path)
  const options = { model_path, candidate_path, sparsity: 0.5, structure: 'structured' as const, samples: rows(input, samples) }
  const feeds = rows(input, 10, 55)
  const wanted = await answers(model, feeds)
  await pruneModel({ ...options, reconstruct: false })
  const cut = sqnr(wanted, await answers(candidate_path, feeds))
  const report = await pruneModel(options)
  return { cut, fitted: sqnr(wanted, await answers(candidate_path, feeds)), report }
}

/** Keeps the two products from being folded into one. */
const apart = (b: Builder, value: string) => b.op('Add', [value, b.op('Mul', [value, value])])
const alone = (b: Builder, value: string) => b.op('Concat', [value], [intAttr('axis', 1)])

describe('a fit of products finds what channels that are left can say', () => {
  it.each<[string, (b: Builder) => string]>([
    ['Gemm', (b) => b.op('Gemm', [alone(b, b.op('Gemm', ['x', b.weight([6, 32])])), b.weight([32, 5]), b.weight([5])])],
    [
      'Gemm with transposed weights, alpha, beta and no bias',
      (b) =>
        b.op(
          'Gemm',
          [alone(b, b.op('Gemm', ['x', b.weight([6, 32]), b.weight([32])])), b.weight([5, 32])],
          [intAttr('transB', 1), floatAttr('alpha', 0.25), floatAttr('beta', 3)],
        ),
    ],
    [
      'MatMul and Add',
      (b) =>
        b.op('Add', [
          b.weight([5]),
          b.op('MatMul', [alone(b, b.op('Add', [b.op('MatMul', ['x', b.weight([6, 32])]), b.weight([32])])), b.weight([32, 5])]),
        ]),
    ],
    ['MatMul alone', (b) => b.op('MatMul', [alone(b, b.op('MatMul', ['x', b.weight([6, 32])])), b.weight([32, 5])])],
  ])('%s', async (_name, build) => {
    const { cut, fitted, report } = await cutAndFitted(build, [4, 6], 200)
    expect(report.groups).toMatchObject([{ channels: 32, kept: 16 }])
    expect(cut).toBeLessThan(25)
    expect(fitted).toBeGreaterThan(55)
  })

  it('rows of a longer value too, where a second product meets the same channels', async () => {
    const { fitted, report } = await cutAndFitted(
      (b) => {
        const made = alone(b, b.op('MatMul', ['x', b.weight([6, 32])]))
        return apart(b, b.op('Add', [b.op('MatMul', [made, b.weight([32, 5])]), b.op('MatMul', [made, b.weight([32, 5])])]))
      },
      [2, 7, 6],
      80,
    )
    expect(report.refits).toHaveLength(2)
    expect(fitted).toBeGreaterThan(50)
  })
})

describe('a fit of convolutions sees what the convolution sees', () => {
  const pads = intsAttr('pads', [1, 2, 0, 1])
  it.each<[string, number[], AttributeProto[]]>([
    ['3×3', [3, 3], []],
    ['5×2 with uneven pads', [5, 2], [pads]],
    ['strides and dilations', [3, 3], [intsAttr('strides', [2, 1]), intsAttr('dilations', [1, 2]), pads]],
    ['SAME_UPPER', [4, 4], [stringAttr('auto_pad', 'SAME_UPPER'), intsAttr('strides', [2, 3])]],
    ['SAME_LOWER', [4, 4], [stringAttr('auto_pad', 'SAME_LOWER'), intsAttr('strides', [3, 2])]],
    ['VALID', [3, 2], [stringAttr('auto_pad', 'VALID')]],
    ['one axis', [5], [intsAttr('strides', [2]), intsAttr('pads', [2, 1])]],
  ])('%s', async (_name, kernel, attributes) => {
    const ones = kernel.map(() => 1)
    const input = [2, 4, ...kernel.map((_, axis) => 11 + 2 * axis)]
    const { cut, fitted, report } = await cutAndFitted(
      (b) => b.op('Conv', [alone(b, b.op('Conv', ['x', b.weight([32, 4, ...ones])])), b.weight([6, 32, ...kernel])], attributes),
      input,
      60,
    )
    expect(report.groups).toMatchObject([{ channels: 32, kept: 16 }])
    expect(cut).toBeLessThan(25)
    expect(fitted).toBeGreaterThan(50)
  })

  it('place by place where all places together are too many', async () => {
    const { cut, fitted } = await cutAndFitted(
      (b) => b.op('Conv', [alone(b, b.op('Conv', ['x', b.weight([352, 4, 1, 1])])), b.weight([6, 352, 3, 3])]),
      [1, 4, 9, 9],
      60,
    )
    expect(fitted).toBeGreaterThan(cut + 10)
  })
})
