import { DataType } from '../codec/data-types.ts'
import type { GraphProto, ModelProto, NodeProto } from '../codec/schema.ts'
import { elementCount, resolveTensor, tensorFloats } from '../codec/tensor-values.ts'
import type { TensorValue } from '../evaluate/tensors.ts'
import { OnnxFault } from '../fault.ts'
import { int64Tensor, intAttr, makeNode, makeValueInfo, scalarTensor } from '../graph/build.ts'
import { mainGraph } from '../graph/walk.ts'
import { useBatchStatistics } from './batch-norm.ts'
import { type FakeQuantization, fakeQuantize } from './fake-quantization.ts'
import { gradient } from './gradient.ts'
import { LOSS, type LossSpec, lossParts } from './losses.ts'
import { nextName, type OptimizerParts, type OptimizerSpec, optimizerParts, WEIGHTS } from './optimizers.ts'
import { learnableNames, trainableForm } from './trainable.ts'
import { valueFacts, withInputShapes } from './values.ts'

export interface TrainingPlan {
  loss: LossSpec
  optimizer: OptimizerSpec
  /** The output the loss looks at: class scores before any Softmax, or values. Any value of the graph may be named. */
  output: string
  /** Weights to move; all that look learned when left out. */
  parameters?: readonly string[] | undefined
  /** `stored`: normalise by the stored statistics, as inference does; `batch`: by each batch's, and follow them. */
  batch_norm?: 'stored' | 'batch' | undefined
  fake_quantization?: FakeQuantization | undefined
}

/** Where a weight lies in the vector of all weights. */
export interface WeightSlice {
  name: string
  dims: number[]
  offset: number
  length: number
}

/** One step of training as a model: data, targets, state and scalars go in; the loss and the next state come out. */
export interface TrainingGraph {
  model: ModelProto
  layout: WeightSlice[]
  /** Elements of the vector of all weights. */
  length: number
  optimizer: OptimizerParts
  /** State beside the vectors: running statistics, by name, with their present values. */
  statistics: Map<string, Float32Array>
  /** Present values of all weights. */
  weights: Float32Array
}

/**
 * Builds forward, backward and update of one training step into one model. `feeds` are an example of the model's inputs, which fixes
 * all shapes, the batch among them.
 * @throws OnnxFault unsupported: a node without gradient, by its name, or no weight that reaches the loss
 */
export const trainingGraph = async (
  source: ModelProto,
  plan: TrainingPlan,
  feeds: Readonly<Record<string, TensorValue>>,
): Promise<TrainingGraph> => {
  const form = trainableForm(source)
  const dims = Object.fromEntries(Object.entries(feeds).map(([name, value]) => [name, value.dims]))
  const model = withInputShapes(form, dims)
  const graph = mainGraph(model)
  const parameters = plan.parameters ?? learnableNames(graph)
  const before = await valueFacts(model, feeds)
  const shape = before.get(plan.output)?.shape
  if (!shape) throw new OnnxFault('unsupported', `The model has no value "${plan.output}" to compute a loss from`)
  const statistic_names = plan.batch_norm === 'batch' ? useBatchStatistics(model, before) : []
  if (plan.fake_quantization) fakeQuantize(model, plan.fake_quantization)
  const loss = lossParts(plan.loss, plan.output, shape)
  graph.node.push(...loss.nodes)
  graph.initializer.push(...loss.initializers)
  graph.input.push(...loss.inputs)
  const values = await valueFacts(model, { ...feeds, ...loss.feeds })
  const gradients = gradient(graph, LOSS, parameters, values)
  const layout = sliced(graph, gradients)
  if (layout.length === 0) throw new OnnxFault('unsupported', `No stored weight reaches the output "${plan.output}"`)
  const length = layout.reduce((sum, slice) => sum + slice.length, 0)
  const weights = gathered(graph, layout, length)
  const statistics = new Map(statistic_names.map((name) => [name, storedFloats(graph, name).slice()]))
  const optimizer = optimizerParts(plan.optimizer, flatGradient(graph, layout, gradients))
  graph.node.push(...optimizer.nodes)
  unpackWeights(graph, layout)
  connect(graph, optimizer, length, statistics)
  return { model, layout, length, optimizer, statistics, weights }
}

const storedFloats = (graph: GraphProto, name: string): Float32Array => {
  const tensor = graph.initializer.find((each) => each.name === name)
  if (!tensor) throw new OnnxFault('unsupported', `The model stores no tensor "${name}"`)
  return tensorFloats(resolveTensor(tensor))
}

const sliced = (graph: GraphProto, gradients: ReadonlyMap<string, string>): WeightSlice[] => {
  const shapes = new Map(graph.initializer.map((tensor) => [tensor.name ?? '', tensor.dims]))
  let offset = 0
  return [...gradients.keys()].map((name) => {
    const dims = [...(shapes.get(name) ?? [])]
    const slice = { name, dims, offset, length: elementCount(dims) }
    offset += slice.length
    return slice
  })
}

const gathered = (graph: GraphProto, layout: readonly WeightSlice[], length: number): Float32Array => {
  const weights = new Float32Array(length)
  for (const { name, offset } of layout) weights.set(storedFloats(graph, name), offset)
  return weights
}

/** All gradients one after the other, as the weights lie. */
const flatGradient = (graph: GraphProto, layout: readonly WeightSlice[], gradients: ReadonlyMap<string, string>): string => {
  graph.initializer.push(int64Tensor('train/flat', [-1]))
  const parts = layout.map(({ name }, at) => {
    const part = `train/gradient/${at}`
    graph.node.push(makeNode('Reshape', [gradients.get(name)!, 'train/flat'], [part]))
    return part
  })
  if (parts.length === 1) return parts[0]!
  graph.node.push(makeNode('Concat', parts, ['train/gradient'], { attributes: [intAttr('axis', 0)] }))
  return 'train/gradient'
}

/** The weights under their own names, cut from the vector, in place of the stored ones. */
const unpackWeights = (graph: GraphProto, layout: readonly WeightSlice[]): void => {
  const gone = new Set(layout.map(({ name }) => name))
  graph.initializer = graph.initializer.filter((tensor) => !gone.has(tensor.name ?? ''))
  graph.initializer.push(
    int64Tensor(
      'train/lengths',
      layout.map(({ length }) => length),
    ),
  )
  const parts = layout.map((_, at) => `train/part/${at}`)
  const nodes: NodeProto[] = [
    layout.length === 1
      ? makeNode('Identity', [WEIGHTS], parts)
      : makeNode('Split', [WEIGHTS, 'train/lengths'], parts, { attributes: [intAttr('axis', 0)] }),
  ]
  for (const [at, { name, dims }] of layout.entries()) {
    graph.initializer.push(int64Tensor(`train/shape/${at}`, dims))
    nodes.push(makeNode('Reshape', [parts[at]!, `train/shape/${at}`], [name]))
  }
  graph.node.unshift(...nodes)
}

/** Declares state and scalars as inputs, the loss and the next state as outputs, and nothing else. */
const connect = (
  graph: GraphProto,
  optimizer: OptimizerParts,
  length: number,
  statistics: ReadonlyMap<string, Float32Array>,
): void => {
  graph.initializer = graph.initializer.filter((tensor) => !statistics.has(tensor.name ?? ''))
  for (const [name, value] of Object.entries(optimizer.constants)) graph.initializer.push(scalarTensor(name, value))
  for (const name of optimizer.state) graph.input.push(makeValueInfo(name, DataType.FLOAT, [length]))
  for (const [name, values] of statistics) graph.input.push(makeValueInfo(name, DataType.FLOAT, [values.length]))
  for (const name of Object.keys(optimizer.scalars(1, 1))) graph.input.push(makeValueInfo(name, DataType.FLOAT, []))
  const lengths = [
    ...optimizer.state.map((name): [string, number] => [name, length]),
    ...[...statistics].map(([name, values]): [string, number] => [name, values.length]),
  ]
  graph.output = [
    makeValueInfo(LOSS, DataType.FLOAT, []),
    ...lengths.map(([name, size]) => makeValueInfo(nextName(name), DataType.FLOAT, [size])),
  ]
  graph.value_info = []
}
