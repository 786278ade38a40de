import * as ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { loadModel, readModel } from '../../../layers/onnx/codec/read-model.ts'
import type { AttributeProto, ModelProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { tensorNumbers } from '../../../layers/onnx/codec/tensor-values.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import {
  floatAttr,
  floatsAttr,
  graphAttr,
  int64Tensor,
  intAttr,
  intsAttr,
  makeGraph,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
  stringAttr,
  tensorAttr,
} from '../../../layers/onnx/graph/build.ts'
import { dropUnused, nameSource, replaceUses } from '../../../layers/onnx/graph/edit.ts'
import { constantTensor, indexGraph, topologicalOrder } from '../../../layers/onnx/graph/index-graph.ts'
import { opsetOf, settleIrVersion, stripUnusedDomains } from '../../../layers/onnx/graph/opsets.ts'
import { upgradeOpset } from '../../../layers/onnx/graph/upgrade.ts'
import { capturedNames, mainGraph, walkNodes } from '../../../layers/onnx/graph/walk.ts'
import { fileName, realModelPaths, runModel } from './real-models.ts'

const float = (name: string, shape?: (number | string)[]) => makeValueInfo(name, 1, shape)

/** y = If(flag) { x + w } else { x − v }, where w and v are weights of the outer graph. */
const branching = (): ModelProto => {
  const branch = (op: string, weight: string) =>
    makeGraph({ name: op, nodes: [makeNode(op, ['x', weight], [`${op}_out`])], outputs: [float(`${op}_out`)] })
  return makeModel(
    makeGraph({
      nodes: [
        makeNode('If', ['flag'], ['y'], {
          attributes: [graphAttr('then_branch', branch('Add', 'w')), graphAttr('else_branch', branch('Sub', 'v'))],
        }),
        makeNode('Relu', ['x'], ['nobody_reads']),
        makeNode('Neg', ['nobody_reads'], ['nor_this']),
      ],
      inputs: [makeValueInfo('flag', 9, []), float('x', [2])],
      outputs: [float('y', [2])],
      initializers: [
        makeTensor('w', [2], Float32Array.of(1, 2)),
        makeTensor('v', [2], Float32Array.of(3, 4)),
        makeTensor('unused', [1], Float32Array.of(0)),
      ],
    }),
  )
}

describe('the graph facade', () => {
  it('sees what sub-graphs capture', () => {
    const model = branching()
    const graph = mainGraph(model)
    const index = indexGraph(graph, { ir_version: 8 })
    expect(index.uses.get('w')).toEqual([{ node: graph.node[0], input: -1 }])
    const inner = graph.node[0]!.attribute[0]!.g!
    expect([...capturedNames(inner)].sort()).toEqual(['w', 'x'])
    expect(constantTensor(indexGraph(inner, { outer: index }), 'w')?.dims).toEqual([2])
    expect([...walkNodes(model)].map((node) => node.op_type)).toEqual(['If', 'Add', 'Sub', 'Relu', 'Neg'])
  })

  it('drops what nobody reads and keeps what sub-graphs capture', async () => {
    const model = branching()
    expect(dropUnused(model)).toEqual({ nodes: 2, initializers: 1 })
    expect(mainGraph(model).initializer.map((tensor) => tensor.name)).toEqual(['w', 'v'])
    const session = await ort.InferenceSession.create(encodeModel(model))
    const { y } = await session.run({ flag: new ort.Tensor('bool', [false], []), x: new ort.Tensor('float32', [10, 10], [2]) })
    expect(y?.data).toEqual(Float32Array.of(7, 6))
  })

  it('renames what sub-graphs capture, and gives names nobody has', () => {
    const model = branching()
    replaceUses(mainGraph(model), 'w', 'w2')
    expect(mainGraph(model).node[0]?.attribute[0]?.g?.node[0]?.input).toEqual(['x', 'w2'])
    const fresh = nameSource(model)
    expect([fresh('x'), fresh('x'), fresh('new'), fresh('Add_out')]).toEqual(['x_1', 'x_2', 'new', 'Add_out_1'])
  })

  it('reads constants from every spelling, and none that callers may override', () => {
    const spelled: [AttributeProto, number[], number[]][] = [
      [intAttr('value_int', -3), [], [-3]],
      [intsAttr('value_ints', [4, 5]), [2], [4, 5]],
      [floatAttr('value_float', 0.5), [], [0.5]],
      [floatsAttr('value_floats', [1, 2]), [2], [1, 2]],
      [tensorAttr('value', int64Tensor('t', [9])), [1], [9]],
    ]
    for (const [attribute, dims, numbers] of spelled) {
      const tensor = constantTensor(
        indexGraph(makeGraph({ nodes: [makeNode('Constant', [], ['c'], { attributes: [attribute] })], outputs: [] })),
        'c',
      )
      expect(tensor?.dims).toEqual(dims)
      expect(tensor && tensorNumbers(tensor)).toEqual(numbers)
    }
    const graph = makeGraph({
      nodes: [],
      outputs: [],
      inputs: [float('w', [1])],
      initializers: [makeTensor('w', [1], Float32Array.of(1))],
    })
    expect(constantTensor(indexGraph(graph, { ir_version: 8 }), 'w')).toBeUndefined()
    expect(constantTensor(indexGraph(graph, { ir_version: 3 }), 'w')).toBeDefined()
  })

  it('sorts nodes, and refuses cycles and values made twice', () => {
    const nodes = [makeNode('Neg', ['b'], ['c']), makeNode('Abs', ['a'], ['b']), makeNode('Relu', ['x'], ['a'])]
    expect(topologicalOrder(makeGraph({ nodes, outputs: [] })).map((node) => node.output[0])).toEqual(['a', 'b', 'c'])
    const cyclic = makeGraph({ nodes: [makeNode('Neg', ['b'], ['a']), makeNode('Abs', ['a'], ['b'])], outputs: [] })
    expect(() => topologicalOrder(cyclic)).toThrow(/"a".*cycle/)
    const twice = makeGraph({ nodes: [makeNode('Neg', ['x'], ['a']), makeNode('Abs', ['x'], ['a'])], outputs: [] })
    expect(() => topologicalOrder(twice)).toThrow(/"a" is produced twice/)
  })

  it('strips domains nobody uses and settles the IR version', () => {
    const model = branching()
    model.opset_import.push({ domain: 'com.microsoft', version: 1 })
    stripUnusedDomains(model)
    expect(model.opset_import.map((opset) => opset.domain)).toEqual([''])
    const settled = (ir_version: number, tensor: TensorProto) => {
      const each = makeModel(makeGraph({ nodes: [], outputs: [], inputs: [float('w')], initializers: [tensor] }), { ir_version })
      settleIrVersion(each)
      return [each.ir_version, mainGraph(each).input.length]
    }
    expect(settled(13, makeTensor('w', [1], Float32Array.of(1)))).toEqual([10, 1])
    expect(settled(7, makeTensor('w', [1], Float32Array.of(1)))).toEqual([7, 1])
    expect(settled(3, makeTensor('w', [1], Float32Array.of(1)))).toEqual([4, 0])
    expect(settled(13, makeTensor('w', [4], Int8Array.of(1, 0, -1, 1), 26))).toEqual([13, 1])
  })
})

const input = Float32Array.from({ length: 24 }, (_, index) => Math.sin(index * 1.7) * 3)

/** One operator on x[2,3,4] at an old opset. */
const single = (
  op: string,
  opset: number,
  attributes: AttributeProto[],
  extra: { inputs?: string[]; outputs?: number; initializers?: TensorProto[]; shape?: number[] } = {},
): ModelProto => {
  const outputs = Array.from({ length: extra.outputs ?? 1 }, (_, index) => `y${index}`)
  const node = makeNode(op, ['x', ...(extra.inputs ?? [])], outputs, { attributes })
  const graph = makeGraph({
    nodes: [node],
    inputs: [float('x', extra.shape ?? [2, 3, 4])],
    outputs: outputs.map((name) => ({ name, metadata_props: [] })),
    initializers: extra.initializers ?? [],
  })
  return makeModel(graph, { opsets: { '': opset }, ir_version: 4 })
}

const run = async (model: ModelProto, shape: number[]): Promise<unknown> => {
  const session = await ort.InferenceSession.create(encodeModel(model), {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 3,
  })
  const outputs = await session.run({
    x: new ort.Tensor(
      'float32',
      input.subarray(
        0,
        shape.reduce((a, b) => a * b, 1),
      ),
      shape,
    ),
  })
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, { dims: tensor.dims, data: tensor.data }]))
}

const image = [1, 1, 4, 6]
const cases: [string, ModelProto, number[]?][] = [
  ['Clip with bounds', single('Clip', 9, [floatAttr('min', -1), floatAttr('max', 0.5)])],
  ['Clip with one bound', single('Clip', 7, [floatAttr('max', 0.5)])],
  [
    'Slice with axes',
    single('Slice', 9, [intsAttr('starts', [1, 0]), intsAttr('ends', [2n ** 63n - 1n, -1]), intsAttr('axes', [1, 2])]),
  ],
  ['Slice without axes', single('Slice', 9, [intsAttr('starts', [0, 1]), intsAttr('ends', [1, 3])])],
  ['Squeeze', single('Squeeze', 11, [intsAttr('axes', [0, 3])], { shape: [1, 4, 6, 1] }), [1, 4, 6, 1]],
  ['Squeeze without axes', single('Squeeze', 9, [], { shape: [1, 4, 6, 1] }), [1, 4, 6, 1]],
  ['Unsqueeze', single('Unsqueeze', 9, [intsAttr('axes', [0, 4])])],
  ['ReduceSum with axes', single('ReduceSum', 11, [intsAttr('axes', [-1]), intAttr('keepdims', 0)])],
  ['ReduceSum over all', single('ReduceSum', 9, [])],
  ['Split in sizes', single('Split', 11, [intAttr('axis', 2), intsAttr('split', [1, 3])], { outputs: 2 })],
  ['Split evenly', single('Split', 9, [intAttr('axis', 2)], { outputs: 2 })],
  ['Pad', single('Pad', 9, [intsAttr('pads', [0, 1, 0, 0, 0, 2]), floatAttr('value', 7)])],
  ['Pad by reflection', single('Pad', 7, [stringAttr('mode', 'reflect'), intsAttr('pads', [0, 1, 1, 0, 1, 1])])],
  ['Softmax on its default axis', single('Softmax', 11, [])],
  ['Softmax on the last axis', single('Softmax', 9, [intAttr('axis', 2)])],
  ['LogSoftmax on axis 0', single('LogSoftmax', 9, [intAttr('axis', 0)])],
  ['Hardmax', single('Hardmax', 11, [intAttr('axis', 1)])],
  ['Dropout', single('Dropout', 9, [floatAttr('ratio', 0.3)])],
  ['TopK', single('TopK', 9, [intAttr('k', 2), intAttr('axis', 1)], { outputs: 2 })],
  [
    'BatchNormalization',
    single('BatchNormalization', 8, [], {
      inputs: ['s', 's', 's', 's'],
      initializers: [makeTensor('s', [3], Float32Array.of(0.5, 2, 1))],
    }),
  ],
  ['Upsample with scales inside', single('Upsample', 8, [floatsAttr('scales', [1, 1, 2, 1.5])], { shape: image }), image],
  [
    'Upsample linearly',
    single('Upsample', 9, [stringAttr('mode', 'linear')], {
      shape: image,
      inputs: ['k'],
      initializers: [makeTensor('k', [4], Float32Array.of(1, 1, 2, 2))],
    }),
    image,
  ],
  [
    'Resize down to the nearest',
    single('Resize', 10, [], {
      shape: image,
      inputs: ['k'],
      initializers: [makeTensor('k', [4], Float32Array.of(1, 1, 0.5, 0.4))],
    }),
    image,
  ],
  [
    'Resize linearly',
    single('Resize', 10, [stringAttr('mode', 'linear')], {
      shape: image,
      inputs: ['k'],
      initializers: [makeTensor('k', [4], Float32Array.of(1, 1, 1.7, 2.5))],
    }),
    image,
  ],
]

describe('raising the opset', () => {
  it.each(cases)('keeps what %s computes', async (_name, given, shape = [2, 3, 4]) => {
    const model = readModel(encodeModel(given))
    const before = await run(model, shape)
    expect(upgradeOpset(model, 13).rewritten).toBeLessThanOrEqual(1)
    expect(opsetOf(model)).toBe(13)
    expect(await run(model, shape)).toEqual(before)
  })

  it.each(cases)('keeps what %s computes at opset 11', async (_name, model, shape = [2, 3, 4]) => {
    const fresh = readModel(encodeModel(model))
    if ((opsetOf(fresh) ?? 0) >= 11) return
    const before = await run(fresh, shape)
    upgradeOpset(fresh, 11)
    expect(await run(fresh, shape)).toEqual(before)
  })

  it('carries real models from 9 and 11 to 13 with identical outputs', async () => {
    const old = realModelPaths().filter((path) => (opsetOf(loadModel(path)) ?? 99) < 13)
    expect(old.length).toBeGreaterThanOrEqual(3)
    for (const path of old) {
      const model = loadModel(path)
      upgradeOpset(model, 13)
      settleIrVersion(model)
      expect(await runModel(encodeModel(model), fileName(path))).toEqual(await runModel(path, fileName(path)))
    }
  })

  it('refuses what cannot be carried over exactly and leaves the model as it was', () => {
    const scan = single('Scan', 8, [])
    const mixed = single('Resize', 10, [], {
      shape: image,
      inputs: ['k'],
      initializers: [makeTensor('k', [4], Float32Array.of(1, 1, 2, 0.5))],
    })
    const unknown = single('ImageScaler', 9, [])
    const ancient = single('Relu', 6, [])
    for (const model of [scan, mixed, unknown, ancient]) {
      const before = encodeModel(model)
      expect(() => upgradeOpset(model, 13)).toThrow(expect.objectContaining({ code: 'unsupported' }))
      expect(encodeModel(model)).toEqual(before)
    }
  })
})
