import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { tensorFloats } from '../codec/tensor-values.ts'
import { floatAttribute, intAttribute } from '../graph/attributes.ts'
import { makeTensor } from '../graph/build.ts'
import { nameSource } from '../graph/edit.ts'
import { constantTensor, type GraphIndex, indexGraph, isPlain } from '../graph/index-graph.ts'
import { mainGraph } from '../graph/walk.ts'
import type { Fit } from '../linear-algebra/least-squares.ts'
import { storeTensor } from './cut.ts'
import type { Consumer } from './flow.ts'

/** A weight of a pruned model that may be changed so that its node answers more like the original's. */
export interface FitTarget {
  graph: GraphProto
  node: NodeProto
  weight: TensorProto
  /** Whether the node's output and each row of weights belong together by `output·inputs + input` (Conv, Gemm with transB). */
  by_output: boolean
  /** Convolutions see a window: places of the kernel; 1 for products. */
  taps: number
  outputs: number
  /** What the node multiplies its product by (Gemm's alpha). */
  factor: number
  bias: BiasPlace | undefined
}

interface BiasPlace {
  /** Whose input it is, and which. */
  node: NodeProto
  input: number
  /** Empty: it has none yet, and one is made. */
  name: string
  /** Gemm's beta. */
  factor: number
}

const usedOnce = (index: GraphIndex, name: string): boolean => index.uses.get(name)?.length === 1 && !index.outputs.has(name)

/** Where the consumer's weight and bias can be changed in the pruned model; undefined when something else reads them too. */
export function fitTarget(model: ModelProto, { node: traced, weight: name }: Consumer): FitTarget | undefined {
  const graph = mainGraph(model)
  const index = indexGraph(graph, { ir_version: model.ir_version })
  const node = index.producers.get(traced.output[0] ?? '')
  const weight = constantTensor(index, name)
  if (!node || !weight || !usedOnce(index, name) || node.input[1] !== name) return undefined
  if (isPlain(node, 'Conv')) {
    const taps = weight.dims.slice(2).reduce((product, dim) => product * dim, 1)
    if (weight.dims.length > 4) return undefined
    return {
      graph,
      node,
      weight,
      by_output: true,
      taps,
      outputs: weight.dims[0]!,
      factor: 1,
      bias: ownBias(index, node, weight.dims[0]!, 1),
    }
  }
  if (weight.dims.length !== 2) return undefined
  const trans_b = isPlain(node, 'Gemm') && intAttribute(node, 'transB', 0) !== 0
  const outputs = weight.dims[trans_b ? 0 : 1]!
  const common = { graph, node, weight, by_output: trans_b, taps: 1, outputs }
  if (isPlain(node, 'MatMul')) return { ...common, factor: 1, bias: addedBias(index, node, outputs) }
  const factor = floatAttribute(node, 'alpha', 1)
  if (!isPlain(node, 'Gemm') || intAttribute(node, 'transA', 0) !== 0 || factor === 0) return undefined
  return { ...common, factor, bias: ownBias(index, node, outputs, floatAttribute(node, 'beta', 1)) }
}

/** The third input of Conv and Gemm, there or not. */
function ownBias(index: GraphIndex, node: NodeProto, outputs: number, factor: number): BiasPlace | undefined {
  const name = node.input[2] ?? ''
  if (factor === 0) return undefined
  if (
    name !== '' &&
    !(
      constantTensor(index, name)?.dims.at(-1) === outputs &&
      constantTensor(index, name)?.dims.length === 1 &&
      usedOnce(index, name)
    )
  )
    return undefined
  return { node, input: 2, name, factor }
}

/** The stored vector that an Add puts on a product. */
function addedBias(index: GraphIndex, node: NodeProto, outputs: number): BiasPlace | undefined {
  const [use] = usedOnce(index, node.output[0] ?? '') ? (index.uses.get(node.output[0] ?? '') ?? []) : []
  if (!use || !isPlain(use.node, 'Add')) return undefined
  const input = 1 - use.input
  const name = use.node.input[input] ?? ''
  const tensor = constantTensor(index, name)
  return tensor?.dims.length === 1 && tensor.dims[0] === outputs && usedOnce(index, name)
    ? { node: use.node, input, name, factor: 1 }
    : undefined
}

/** Adds a fit to the weight and bias; with `tap` to that place of the kernel alone. */
export function applyFit(model: ModelProto, target: FitTarget, fit: Pick<Fit, 'weights' | 'intercept'>, tap?: number): void {
  const values = tensorFloats(target.weight).slice()
  const inputs = fit.weights.length / target.outputs
  const [step, first] = tap === undefined ? [1, 0] : [target.taps, tap]
  for (let output = 0; output < target.outputs; output++) {
    for (let input = 0; input < inputs; input++) {
      const at = target.by_output ? (output * inputs + input) * step + first : input * target.outputs + output
      values[at]! += fit.weights[output * inputs + input]! / target.factor
    }
  }
  const name = target.node.input[1] ?? ''
  target.weight = makeTensor(target.weight.name ?? '', target.weight.dims, values)
  storeTensor(target.graph, name, target.weight)
  if (target.bias) addToBias(model, target.graph, target.bias, fit.intercept)
}

function addToBias(model: ModelProto, graph: GraphProto, place: BiasPlace, intercept: Float64Array): void {
  const index = indexGraph(graph, { ir_version: model.ir_version })
  const known = place.name === '' ? undefined : constantTensor(index, place.name)
  const before = known ? tensorFloats(known) : undefined
  const values = Float32Array.from(intercept, (shift, at) => (before?.[at] ?? 0) + shift / place.factor)
  if (known) {
    storeTensor(graph, place.name, makeTensor(place.name, known.dims, values))
    return
  }
  place.name = nameSource(model)(`${place.node.output[0]}_bias`)
  graph.initializer.push(makeTensor(place.name, [values.length], values))
  place.node.input = [place.node.input[0] ?? '', place.node.input[1] ?? '', place.name]
}
