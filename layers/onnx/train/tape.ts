import type { AttributeProto, GraphProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { elementCount, tensorNumbers } from '../codec/tensor-values.ts'
import { OnnxFault } from '../fault.ts'
import { int64Tensor, makeNode, makeTensor } from '../graph/build.ts'
import { constantTensor, indexGraph } from '../graph/index-graph.ts'
import type { ValueFacts } from './values.ts'

/**
 * Gradients of a node's inputs, in their order, from those of its outputs (undefined: that output does not matter). An input that
 * does not move may be left undefined. Every gradient has the shape of its value.
 */
export type GradientRule = (node: NodeProto, upstream: readonly (string | undefined)[], tape: Tape) => (string | undefined)[]

/** Where rules write the backward part. */
export interface Tape {
  nodes: NodeProto[]
  initializers: TensorProto[]
  /** Adds a node of the default domain and answers the name of its (first) output. */
  emit(op_type: string, inputs: readonly string[], attributes?: AttributeProto[]): string
  /** Adds a node with several outputs. */
  emitAll(op_type: string, inputs: readonly string[], outputs: number, attributes?: AttributeProto[]): string[]
  /** A stored constant; equal ones are stored once. A number is a scalar. */
  floats(values: Float32Array | number, dims?: readonly number[]): string
  /** A stored INT64 vector: shapes, axes, pads. */
  ints(values: readonly number[]): string
  /** Shape of a value of the forward part. @throws OnnxFault unsupported, naming the value */
  shape(name: string): readonly number[]
  /** Numbers of a constant of the forward part; undefined when it is computed. */
  numbers(name: string | undefined): readonly number[] | undefined
  /** Element type of a constant of the forward part; undefined when it is computed. */
  dataType(name: string): number | undefined
  /** Whether a value moves with the parameters, so that its gradient is worth computing. */
  wants(name: string | undefined): name is string
  /** An optional output of a node of the forward part, asked for now if it was not. */
  furtherOutput(node: NodeProto, at: number): string
}

/** Larger constants are not compared with what is stored. */
const FEW_NUMBERS = 64

const freshNames = (graph: GraphProto): (() => string) => {
  const taken = new Set<string>()
  for (const value of [...graph.input, ...graph.initializer]) taken.add(value.name ?? '')
  for (const node of graph.node) for (const name of node.output) taken.add(name)
  let prefix = 'backward'
  while ([...taken].some((name) => name.startsWith(`${prefix}/`))) prefix += '_'
  let count = 0
  return () => `${prefix}/${count++}`
}

/** Stores constants, small equal ones once. */
const constantStore = (initializers: TensorProto[], fresh: () => string): Pick<Tape, 'floats' | 'ints'> => {
  const stored = new Map<string, string>()
  const store = (key: string | undefined, make: (name: string) => TensorProto): string => {
    const known = key === undefined ? undefined : stored.get(key)
    if (known !== undefined) return known
    const name = fresh()
    initializers.push(make(name))
    if (key !== undefined) stored.set(key, name)
    return name
  }
  return {
    floats(given, dims = []) {
      const all = typeof given === 'number' ? Float32Array.of(given) : given
      return store(all.length <= FEW_NUMBERS ? `f[${dims}]${all}` : undefined, (name) => makeTensor(name, dims, all))
    },
    ints: (list) => store(list.length <= FEW_NUMBERS ? `i${list}` : undefined, (name) => int64Tensor(name, list)),
  }
}

export const startTape = (graph: GraphProto, values: ReadonlyMap<string, ValueFacts>, moves: (name: string) => boolean): Tape => {
  const index = indexGraph(graph)
  const fresh = freshNames(graph)
  const nodes: NodeProto[] = []
  const initializers: TensorProto[] = []
  const emitAll: Tape['emitAll'] = (op_type, inputs, outputs, attributes = []) => {
    const names = Array.from({ length: outputs }, fresh)
    nodes.push(makeNode(op_type, inputs, names, { attributes }))
    return names
  }
  return {
    nodes,
    initializers,
    furtherOutput(node, at) {
      const name = node.output[at] || fresh()
      while (node.output.length < at) node.output.push('')
      node.output[at] = name
      return name
    },
    emitAll,
    emit: (op_type, inputs, attributes) => emitAll(op_type, inputs, 1, attributes)[0]!,
    ...constantStore(initializers, fresh),
    shape(name) {
      const shape = values.get(name)?.shape
      if (!shape) throw new OnnxFault('unsupported', `The shape of "${name}" is not known, so it cannot be differentiated`)
      return shape
    },
    numbers(name) {
      if (name === undefined || name === '') return undefined
      const tensor = constantTensor(index, name)
      if (!tensor) return values.get(name)?.numbers
      return elementCount(tensor.dims) <= 4096 ? tensorNumbers(tensor) : undefined
    },
    dataType: (name) => constantTensor(index, name)?.data_type,
    wants: (name): name is string => name !== undefined && name !== '' && moves(name),
  }
}

/** Refuses what a rule does not cover, naming the node. */
export const refuseGradient = (node: NodeProto, reason: string): never => {
  throw new OnnxFault('unsupported', `Node "${node.name ?? ''}" (${node.op_type}) cannot be differentiated: ${reason}`)
}

/** A gradient of shape `from` summed down to the shape `to` that was broadcast to it. */
export const unbroadcast = (tape: Tape, gradient: string, from: readonly number[], to: readonly number[]): string => {
  const lead = from.length - to.length
  const axes = from.flatMap((size, axis) => (axis < lead || (to[axis - lead] === 1 && size !== 1) ? [axis] : []))
  if (axes.length === 0) return gradient
  const summed = tape.emit('ReduceSum', [gradient, tape.ints(axes)])
  return lead === 0 ? summed : tape.emit('Reshape', [summed, tape.ints(to)])
}
