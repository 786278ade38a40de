import { DataType } from '../codec/data-types.ts'
import type { GraphProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'
import { attributeOf } from './attributes.ts'
import { int64Tensor, makeTensor } from './build.ts'
import { usedNames } from './walk.ts'

/** One reading of a value; `input` is -1 when a sub-graph of the node captures it. */
export interface Use {
  node: NodeProto
  input: number
}

/** Who makes and who reads each value of one graph. A snapshot: index again after editing. */
export interface GraphIndex {
  graph: GraphProto
  /** Index of the graph around this one. */
  outer: GraphIndex | undefined
  producers: Map<string, NodeProto>
  uses: Map<string, Use[]>
  initializers: Map<string, TensorProto>
  inputs: Set<string>
  outputs: Set<string>
  /** From IR 4 on an initializer that is also an input is only a default, which callers may replace. */
  inputs_override: boolean
}

/**
 * Indexes one graph; pass the index of the graph around it so that captured names resolve.
 * @throws OnnxFault not_a_model when a value is produced twice
 */
export const indexGraph = (
  graph: GraphProto,
  options: { ir_version?: number | undefined; outer?: GraphIndex } = {},
): GraphIndex => {
  const index: GraphIndex = {
    graph,
    outer: options.outer,
    producers: new Map(),
    uses: new Map(),
    initializers: new Map(graph.initializer.map((tensor) => [tensor.name ?? '', tensor])),
    inputs: new Set(graph.input.map((input) => input.name ?? '')),
    outputs: new Set(graph.output.map((output) => output.name ?? '')),
    inputs_override: (options.ir_version ?? 4) >= 4,
  }
  for (const node of graph.node) {
    addOutputs(index, node)
    addUses(index, node)
  }
  return index
}

const addOutputs = (index: GraphIndex, node: NodeProto): void => {
  for (const name of node.output) {
    if (name === '') continue
    if (index.producers.has(name) || index.inputs.has(name) || index.initializers.has(name)) {
      throw new OnnxFault(
        'not_a_model',
        `The value "${name}" is produced twice, the second time by node "${node.name ?? ''}" (${node.op_type})`,
      )
    }
    index.producers.set(name, node)
  }
}

const addUses = (index: GraphIndex, node: NodeProto): void => {
  const add = (name: string, input: number): void => {
    const uses = index.uses.get(name)
    if (uses) uses.push({ node, input })
    else index.uses.set(name, [{ node, input }])
  }
  node.input.forEach((name, input) => {
    if (name !== '') add(name, input)
  })
  const direct = new Set(node.input)
  for (const name of usedNames(node)) if (!direct.has(name)) add(name, -1)
}

/**
 * The stored tensor behind a name: an initializer that nobody can override, or a `Constant` node's value, here or in a graph
 * around. Undefined for everything computed.
 */
export const constantTensor = (index: GraphIndex, name: string): TensorProto | undefined => {
  const stored = index.initializers.get(name)
  if (stored) return index.inputs_override && index.inputs.has(name) ? undefined : stored
  const producer = index.producers.get(name)
  if (producer) return isPlain(producer, 'Constant') ? constantValue(producer, name) : undefined
  if (index.inputs.has(name)) return undefined
  return index.outer ? constantTensor(index.outer, name) : undefined
}

/** Whether a node is this operator of the default domain. */
export const isPlain = (node: NodeProto, op_type: string): boolean =>
  node.op_type === op_type && (node.domain === undefined || node.domain === '' || node.domain === 'ai.onnx')

/** The tensor a `Constant` node yields, whichever attribute spells it; undefined for sparse and string forms. */
export const constantValue = (node: NodeProto, name: string): TensorProto | undefined => {
  const whole = attributeOf(node, 'value')?.t
  if (whole) return whole
  const floats = attributeOf(node, 'value_floats')?.floats
  if (floats) return makeTensor(name, [floats.length], floats)
  const ints = attributeOf(node, 'value_ints')?.ints
  if (ints) return makeTensor(name, [ints.length], ints)
  const float = attributeOf(node, 'value_float')
  if (float) return makeTensor(name, [], Float32Array.of(float.f ?? 0), DataType.FLOAT)
  const int = attributeOf(node, 'value_int')
  if (int) return { ...int64Tensor(name, [0]), dims: [], raw_data: new Uint8Array(BigInt64Array.of(int.i ?? 0n).buffer) }
  return undefined
}

const isSorted = (graph: GraphProto, producers: Map<string, NodeProto>): boolean => {
  const done = new Set<NodeProto>()
  for (const node of graph.node) {
    for (const name of usedNames(node)) {
      const producer = producers.get(name)
      if (producer && !done.has(producer)) return false
    }
    done.add(node)
  }
  return true
}

/**
 * The graph's nodes so that each comes after what it needs (files in the wild are not always sorted); as they stand when they are.
 * @throws OnnxFault not_a_model for a cycle or a value produced twice
 */
export const topologicalOrder = (graph: GraphProto): NodeProto[] => {
  const { producers } = indexGraph(graph)
  if (isSorted(graph, producers)) return [...graph.node]
  const waiting = new Map<NodeProto, number>()
  const followers = new Map<NodeProto, NodeProto[]>()
  for (const node of graph.node) {
    const needs = new Set(usedNames(node).flatMap((name) => producers.get(name) ?? []))
    waiting.set(node, needs.size)
    for (const need of needs) {
      const list = followers.get(need)
      if (list) list.push(node)
      else followers.set(need, [node])
    }
  }
  const ready = graph.node.filter((node) => waiting.get(node) === 0)
  for (let at = 0; at < ready.length; at++) {
    for (const follower of followers.get(ready[at]!) ?? []) {
      const left = waiting.get(follower)! - 1
      waiting.set(follower, left)
      if (left === 0) ready.push(follower)
    }
  }
  const stuck = graph.node.find((node) => (waiting.get(node) ?? 0) > 0)
  if (stuck)
    throw new OnnxFault('not_a_model', `Node "${stuck.name ?? ''}" (${stuck.op_type}) is part of a cycle or waits for one`)
  return ready
}
