import * as ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import { readModel } from '../../../layers/onnx/codec/read-model.ts'
import type { ModelProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { fromTensor, toTensor } from '../../../layers/onnx/evaluate/session-tensors.ts'
import { type Feeds, numbersOf } from '../../../layers/onnx/evaluate/tensors.ts'
import { graphAttr, intAttr, makeGraph, makeModel, makeNode, makeTensor, stringAttr } from '../../../layers/onnx/graph/build.ts'
import { opsetOf, settleIrVersion } from '../../../layers/onnx/graph/opsets.ts'
import { type UpgradeTarget, upgradeOpset } from '../../../layers/onnx/graph/upgrade.ts'
import { opsetCases } from './opset-cases.ts'
import { changedOperators } from './opset-history.ts'

const run = async (model: ModelProto, feeds: Feeds): Promise<Record<string, ort.Tensor>> => {
  const session = await ort.InferenceSession.create(encodeModel(model), {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  })
  try {
    const answer = await session.run(Object.fromEntries(Object.entries(feeds).map(([name, value]) => [name, toTensor(value)])))
    return Object.fromEntries(
      Object.entries(answer).flatMap(([name, value]) => (value instanceof ort.Tensor ? [[name, value]] : [])),
    )
  } finally {
    await session.release()
  }
}
const plain = (answer: Record<string, ort.Tensor>): unknown =>
  Object.entries(answer).map(([name, tensor]) => [name, tensor.type, tensor.dims, bytesOf(tensor)])
const bytesOf = (tensor: ort.Tensor): number[] | string[] => {
  const value = fromTensor(tensor)
  return 'bytes' in value ? [...value.bytes] : value.texts
}

/** The largest difference between two answers of one float value. */
const difference = (a: ort.Tensor, b: ort.Tensor): number => {
  const [left, right] = [numbersOf(fromTensor(a)), numbersOf(fromTensor(b))]
  return Math.max(...(left ?? []).map((value, at) => Math.abs(value - (right?.[at] ?? Number.NaN))))
}

/** Every opset at which some operator took another form. */
const targets: UpgradeTarget[] = [11, 12, 13, 14, 15, 16, 18, 19, 20, 21]

describe('raising the opset up to 21', () => {
  it.each(opsetCases.map((each) => [each.name, each] as const))('keeps what %s computes, bit for bit', async (_name, given) => {
    const before = await run(given.model, given.feeds)
    for (const to of targets.filter((target) => target > given.opset)) {
      const model = readModel(encodeModel(given.model))
      upgradeOpset(model, to)
      settleIrVersion(model)
      expect(opsetOf(model)).toBe(to)
      const after = await run(model, given.feeds)
      // From 19 on the runtime's AveragePool adds up in another order; its inputs are no larger than 3.
      if (given.operator === 'AveragePool') expect(difference(after.y0!, before.y0!), `at opset ${to}`).toBeLessThan(2 ** -21)
      else expect(plain(after), `at opset ${to}`).toEqual(plain(before))
    }
  })

  it('is the same in two steps as in one', () => {
    for (const given of opsetCases) {
      const [once, twice] = [readModel(encodeModel(given.model)), readModel(encodeModel(given.model))]
      upgradeOpset(once, 21)
      upgradeOpset(twice, 15)
      upgradeOpset(twice, 21)
      const shapes = (model: ModelProto) =>
        model.graph?.node.map((node) => [node.op_type, node.attribute.map(({ name }) => name).sort()])
      // Two steps may have chosen other names for what they stored, and Reshape knows allowzero from 14 on.
      if (given.opset >= 12 || !/Softmax|Hardmax/.test(given.operator)) expect(shapes(twice), given.name).toEqual(shapes(once))
    }
  })

  it.each([
    ['Scan', 8, [], 1, /batch dimension/],
    ['BatchNormalization', 8, [intAttr('spatial', 0)], 1, /every element by itself/],
    ['BatchNormalization', 13, [], 3, /mean training/],
    ['Dropout', 10, [], 2, /mask is used/],
    ['Resize', 11, [stringAttr('coordinate_transformation_mode', 'tf_half_pixel_for_nn')], 1, /tf_half_pixel_for_nn/],
    ['GroupNormalization', 18, [], 1, /element type/],
    ['ImageScaler', 9, [], 1, /not known to keep its meaning/],
    ['Relu', 6, [], 1, /Opset 6 is older than 7/],
  ] as const)('refuses %s-%i where it cannot be carried over, naming it, and leaves the model alone', (operator, opset, attributes, outputs, reason) => {
    const names = Array.from({ length: outputs }, (_, at) => `y${at}`)
    const node = makeNode(operator, ['x', 'a', 'b', 'c', 'd'], names, { attributes: [...attributes], name: 'the_node' })
    const graph = makeGraph({
      nodes: [node],
      inputs: ['x', 'a', 'b', 'c', 'd'].map((name) => ({ name, metadata_props: [] })),
      outputs: names.map((name) => ({ name, metadata_props: [] })),
      // Floats of two kinds: what an undeclared value holds cannot be told.
      initializers: [makeTensor('half', [1], Uint16Array.of(0), DataType.FLOAT16)],
    })
    const inner = makeGraph({ name: 'inner', nodes: [node], outputs: graph.output })
    const branches = ['then_branch', 'else_branch'].map((name) => graphAttr(name, inner))
    const around = { ...graph, node: [makeNode('If', ['a'], names, { attributes: branches })] }
    for (const each of [graph, around]) {
      const model = makeModel(each, { opsets: { '': opset } })
      const before = encodeModel(model)
      expect(() => upgradeOpset(model, 21)).toThrow(
        expect.objectContaining({ code: 'unsupported', detail: expect.stringMatching(reason) }),
      )
      if (opset > 6) expect(() => upgradeOpset(model, 21)).toThrow(`Node "the_node" (${operator})`)
      expect(encodeModel(model)).toEqual(before)
    }
  })

  it('is tried on every operator that changed', () => {
    const tried = new Map<string, number>()
    for (const { operator, opset } of opsetCases) tried.set(operator, Math.min(opset, tried.get(operator) ?? 99))
    // The form that Scan had at 8 alone, with a batch dimension, is refused.
    const untried = Object.entries(changedOperators).filter(
      ([name, [first = 0]]) => (tried.get(name) ?? 99) > Math.max(first, name === 'Scan' ? 9 : 7),
    )
    expect(untried.map(([name]) => name)).toEqual([])
  })
})
