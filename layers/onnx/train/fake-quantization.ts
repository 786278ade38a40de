import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'
import { intAttribute } from '../graph/attributes.ts'
import { intAttr, makeNode, makeTensor, scalarTensor } from '../graph/build.ts'
import { isPlain } from '../graph/index-graph.ts'
import { mainGraph } from '../graph/walk.ts'
import { reduceNode } from './reduce-node.ts'
import { trainableForm } from './trainable.ts'

/**
 * What training should get used to. `weight_bits` (2–8) per output channel, symmetric: 8 is ±127, 7 the range that saturates nowhere
 * (±63), 4 is ±7. `activations` quantizes what enters those layers per tensor to UINT8, with the range of the batch, as dynamic
 * quantization will.
 */
export interface FakeQuantization {
  weight_bits: number
  activations: boolean
}

/** Scales of channels that are all 0 would be 0. */
const SMALLEST_PEAK = 1e-9

/** The axis of a stored weight that its output channels lie on; undefined for other operators. */
const channelAxis = (node: NodeProto, weight: TensorProto): number | undefined => {
  if (isPlain(node, 'Conv')) return 0
  if (isPlain(node, 'Gemm')) return intAttribute(node, 'transB', 0) === 1 ? 0 : 1
  return isPlain(node, 'MatMul') && weight.dims.length >= 2 ? weight.dims.length - 1 : undefined
}

/**
 * Makes Conv, Gemm and MatMul read quantized and dequantized copies of their stored weights (and inputs), so that the loss sees what
 * int8 will do; the scales follow the weights at every step. Gradients pass straight through. Answers how many layers it changed.
 * Source: Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference,
 * arXiv 1712.05877, §3.
 */
export const fakeQuantize = (model: ModelProto, { weight_bits, activations }: FakeQuantization): number => {
  if (!Number.isInteger(weight_bits) || weight_bits < 2 || weight_bits > 8)
    throw new OnnxFault('unsupported', `Weights can be quantized to 2–8 bits, got ${weight_bits}`)
  const graph = mainGraph(model)
  const weights = new Map(graph.initializer.map((tensor) => [tensor.name ?? '', tensor]))
  const done = new Map<string, string>()
  let changed = 0
  graph.initializer.push(
    scalarTensor('train/fake/levels', 2 ** (weight_bits - 1) - 1),
    scalarTensor('train/fake/smallest', SMALLEST_PEAK),
  )
  graph.node = graph.node.flatMap((node) => {
    const weight = weights.get(node.input[1] ?? '')
    const axis = weight?.data_type === DataType.FLOAT ? channelAxis(node, weight) : undefined
    if (!weight || axis === undefined) return [node]
    changed += 1
    const before: NodeProto[] = []
    const replaced = (name: string, make: () => [string, NodeProto[]]): string => {
      const known = done.get(name)
      if (known !== undefined) return known
      const [output, nodes] = make()
      before.push(...nodes)
      done.set(name, output)
      return output
    }
    const [input, stored] = [node.input[0]!, node.input[1]!]
    const rounded = replaced(`${stored} ${axis}`, () => roundedWeight(model, weight, axis))
    const arriving = activations && !weights.has(input) ? replaced(input, () => roundedActivation(input)) : input
    return [...before, { ...node, input: [arriving, rounded, ...node.input.slice(2)] }]
  })
  return changed
}

/** A copy of the model that computes as the quantized one will, in float. */
export const quantizedForm = (model: ModelProto, quantization: FakeQuantization): ModelProto => {
  const copy = trainableForm(model)
  fakeQuantize(copy, quantization)
  return copy
}

const roundedWeight = (model: ModelProto, weight: TensorProto, axis: number): [string, NodeProto[]] => {
  const name = weight.name ?? ''
  const named = (part: string): string => `train/fake/${name}/${axis}/${part}`
  const axes = weight.dims.flatMap((_, at) => (at === axis ? [] : [at]))
  const channels = weight.dims[axis]!
  mainGraph(model).initializer.push(makeTensor(named('zero'), [channels], new Int8Array(channels)))
  const attributes = [intAttr('axis', axis)]
  return [
    named('rounded'),
    [
      makeNode('Abs', [name], [named('sizes')]),
      ...reduceNode(model, 'ReduceMax', named('sizes'), axes, named('peak'), false),
      makeNode('Max', [named('peak'), 'train/fake/smallest'], [named('some')]),
      makeNode('Div', [named('some'), 'train/fake/levels'], [named('scale')]),
      makeNode('QuantizeLinear', [name, named('scale'), named('zero')], [named('levels')], { attributes }),
      makeNode('DequantizeLinear', [named('levels'), named('scale'), named('zero')], [named('rounded')], { attributes }),
    ],
  ]
}

const roundedActivation = (name: string): [string, NodeProto[]] => {
  const named = (part: string): string => `train/fake/${name}/${part}`
  return [
    named('rounded'),
    [
      makeNode('DynamicQuantizeLinear', [name], [named('levels'), named('scale'), named('zero')]),
      makeNode('DequantizeLinear', [named('levels'), named('scale'), named('zero')], [named('rounded')]),
    ],
  ]
}
