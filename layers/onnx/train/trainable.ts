import { DataType } from '../codec/data-types.ts'
import type { GraphProto, ModelProto, TensorProto } from '../codec/schema.ts'
import { elementCount, resolveTensor, tensorFloats } from '../codec/tensor-values.ts'
import { OnnxFault } from '../fault.ts'
import { constantValue, isPlain } from '../graph/index-graph.ts'
import { opsetOf, setOpset, settleIrVersion } from '../graph/opsets.ts'
import { upgradeOpset } from '../graph/upgrade.ts'
import { mainGraph } from '../graph/walk.ts'

/** ScatterElements adds since 16; LayerNormalization is one operator since 17. */
const TRAINING_OPSET = 17
const UPGRADER_ENDS = 13
/** Operators whose meaning changed between the two; all others only took more types or options. Source: ONNX Changelog.md. */
const changed: ReadonlySet<string> = new Set(['RoiAlign'])

/** A copy whose graph, nodes and lists may be edited; tensors are shared, and never written in place. */
export const copyModel = (model: ModelProto): ModelProto => {
  const graph = mainGraph(model)
  return {
    ...model,
    opset_import: model.opset_import.map((opset) => ({ ...opset })),
    graph: {
      ...graph,
      node: graph.node.map((node) => ({ ...node, input: [...node.input], output: [...node.output] })),
      initializer: [...graph.initializer],
      input: [...graph.input],
      output: [...graph.output],
      value_info: [...graph.value_info],
    },
  }
}

/** Weights that the file stores as `Constant` nodes become initializers of the same name, where training can reach them. */
export const storeConstants = (model: ModelProto): void => {
  const graph = mainGraph(model)
  const kept: typeof graph.node = []
  for (const node of graph.node) {
    const name = node.output[0] ?? ''
    const tensor = isPlain(node, 'Constant') ? constantValue(node, name) : undefined
    if (tensor) graph.initializer.push({ ...tensor, name })
    else kept.push(node)
  }
  graph.node = kept
  settleIrVersion(model)
}

/**
 * A copy of the model on which gradients can be built: constants stored, nothing that callers could override among the weights,
 * opset 17 or later. Names of values stay those of the original, so weights can be carried back.
 * @throws OnnxFault unsupported, naming the node that cannot be carried to the opset
 */
export const trainableForm = (model: ModelProto): ModelProto => {
  const copy = copyModel(model)
  storeConstants(copy)
  const graph = mainGraph(copy)
  const stored = new Set(graph.initializer.map((tensor) => tensor.name ?? ''))
  graph.input = graph.input.filter((input) => !stored.has(input.name ?? ''))
  const opset = opsetOf(copy) ?? 1
  if (opset < UPGRADER_ENDS) upgradeOpset(copy, UPGRADER_ENDS)
  if (opset >= TRAINING_OPSET) return copy
  const stuck = graph.node.find((node) => changed.has(node.op_type ?? ''))
  if (stuck)
    throw new OnnxFault(
      'unsupported',
      `Node "${stuck.name ?? ''}" (${stuck.op_type}) cannot be carried to opset ${TRAINING_OPSET}`,
    )
  setOpset(copy, '', TRAINING_OPSET)
  copy.ir_version = Math.max(copy.ir_version ?? 8, 8)
  return copy
}

/** Operator → inputs that hold weights whatever their size. */
const weightInputs: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  Gemm: [1, 2],
  MatMul: [0, 1],
  BatchNormalization: [1, 2],
  LayerNormalization: [1, 2],
  PRelu: [1],
  Gather: [0],
}
/** Operators with which biases and scales are spelled out; single numbers there are constants of a formula. */
const vectorInputs: ReadonlySet<string> = new Set(['Add', 'Mul'])
/** Attention masks are stored as huge negative numbers. */
const LARGEST_WEIGHT = 1e4

const looksLearned = (tensor: TensorProto): boolean => tensorFloats(tensor).every((value) => Math.abs(value) <= LARGEST_WEIGHT)

/** Names of the stored floats that training may move, in the order of the file: weights, biases and scales, no constants of formulas. */
export const learnableNames = (graph: GraphProto): string[] => {
  const vectors = new Set<string>()
  const weights = new Set<string>()
  for (const node of graph.node) {
    for (const at of weightInputs[node.op_type ?? ''] ?? []) weights.add(node.input[at] ?? '')
    if (vectorInputs.has(node.op_type ?? '')) for (const name of node.input) vectors.add(name)
  }
  return graph.initializer.flatMap((tensor) => {
    const name = tensor.name ?? ''
    if (tensor.data_type !== DataType.FLOAT) return []
    const candidate = weights.has(name) || (vectors.has(name) && elementCount(tensor.dims) > 1)
    return candidate && looksLearned(resolveTensor(tensor)) ? [name] : []
  })
}
