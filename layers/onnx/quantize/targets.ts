import { DataType } from '../codec/data-types.ts'
import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { eachPiece } from '../codec/sink.ts'
import { elementCount, tensorFloats } from '../codec/tensor-values.ts'
import { intAttribute } from '../graph/attributes.ts'
import { constantTensor, type GraphIndex, indexGraph, isPlain } from '../graph/index-graph.ts'
import { mainGraph, subGraphs } from '../graph/walk.ts'
import { allFinite } from './weights.ts'

export type TargetKind = 'MatMul' | 'Gemm' | 'Gather' | 'Conv'

/** A node whose stored weight becomes int8. */
export interface Target {
  kind: TargetKind
  node: NodeProto
  index: GraphIndex
  weight: TensorProto
}

export interface TargetSettings {
  kinds: ReadonlySet<TargetKind>
  /** Convolutions with more than one group (depthwise ones among them) have no fast int8 kernel. */
  grouped_conv: boolean
  /** Smaller weights save nothing worth an extra operator. */
  min_elements: number
  /** Nodes to leave alone. */
  leave(node: NodeProto): boolean
}

export interface Found {
  targets: Target[]
  /** Reason → how many nodes were left alone for it. */
  left: Record<string, number>
}

interface Reading {
  node: NodeProto
  input: number
}

/**
 * Nodes worth quantizing in the graph and its sub-graphs. A weight is taken only when every reader of it is: else the file would
 * hold it twice, once as floats.
 */
export function findTargets(model: ModelProto, settings: TargetSettings): Found {
  const readers = new Map<TensorProto, Reading[]>()
  const candidates: Target[] = []
  const left: Record<string, number> = {}
  const leave = (reason: string) => {
    left[reason] = (left[reason] ?? 0) + 1
  }
  for (const index of allIndexes(mainGraph(model), model.ir_version)) {
    for (const node of index.graph.node) {
      node.input.forEach((name, input) => {
        const tensor = name === '' ? undefined : constantTensor(index, name)
        if (tensor) readers.set(tensor, [...(readers.get(tensor) ?? []), { node, input }])
      })
      const target = asTarget(index, node)
      if (!target && hasReplaceableWeight(index, node)) leave('weight that callers may replace (IR 4 and later: an input too)')
      if (!target) continue
      const reason = refusal(target, settings)
      if (reason) leave(reason)
      else candidates.push(target)
    }
  }
  const taken = new Set(candidates.map(({ node }) => node))
  const shared = (target: Target): boolean =>
    (readers.get(target.weight) ?? []).some(({ node, input }) => !taken.has(node) || input !== weightInput(node)) ||
    isOutput(target.index, target.weight)
  const targets = candidates.filter((target) => {
    if (!shared(target)) return true
    leave('weight also read as floats')
    return false
  })
  // Leaving one out may strand another reader of the same weight, but then that weight was shared and all its readers are out.
  return { targets, left }
}

function* allIndexes(graph: GraphProto, ir_version: number | undefined, outer?: GraphIndex): Generator<GraphIndex> {
  const index = indexGraph(graph, outer ? { ir_version, outer } : { ir_version })
  yield index
  for (const node of graph.node) for (const inner of subGraphs(node)) yield* allIndexes(inner, ir_version, index)
}

const weightInput = (node: NodeProto): number => (node.op_type === 'Gather' ? 0 : 1)

const isOutput = (index: GraphIndex, weight: TensorProto): boolean => {
  for (let at: GraphIndex | undefined = index; at; at = at.outer) {
    for (const name of at.outputs) if (constantTensor(at, name) === weight) return true
  }
  return false
}

const kindOf = (node: NodeProto): TargetKind | undefined =>
  (['MatMul', 'Gemm', 'Gather', 'Conv'] as const).find((kind) => isPlain(node, kind))

function asTarget(index: GraphIndex, node: NodeProto): Target | undefined {
  const kind = kindOf(node)
  const weight = kind && constantTensor(index, node.input[weightInput(node)] ?? '')
  return kind && weight && weight.data_type === DataType.FLOAT ? { kind, node, index, weight } : undefined
}

const hasReplaceableWeight = (index: GraphIndex, node: NodeProto): boolean => {
  const name = node.input[weightInput(node)] ?? ''
  return kindOf(node) !== undefined && index.inputs_override && index.inputs.has(name) && index.initializers.has(name)
}

/** Why a node stays as it is; undefined when it can be quantized. */
function refusal({ kind, node, index, weight }: Target, settings: TargetSettings): string | undefined {
  if (!settings.kinds.has(kind)) return `${kind} not asked for`
  if (settings.leave(node)) return 'left alone by the settings'
  if (elementCount(weight.dims) < settings.min_elements) return 'weight too small to matter'
  const shape = shapeRefusal(kind, node, weight)
  if (shape) return shape
  if (kind !== 'Gather' && constantTensor(index, node.input[0] ?? '')) return 'both inputs stored'
  return hasFiniteNumbers(weight)
    ? kind === 'Conv' && !settings.grouped_conv && group(node) > 1
      ? 'grouped convolution'
      : undefined
    : 'weight not finite'
}

const EXPONENT = 0x7f80_0000

/** Whether every weight is a finite number; what is still in the file is looked at piece by piece, without holding it. */
function hasFiniteNumbers(weight: TensorProto): boolean {
  const range = weight.ranges?.raw_data
  if (!range) return allFinite(tensorFloats(weight))
  let finite = true
  let whole = true
  eachPiece(range, (piece) => {
    whole &&= piece.length % 4 === 0 && piece.byteOffset % 4 === 0
    if (!whole) return
    const bits = new Uint32Array(piece.buffer, piece.byteOffset, piece.length / 4)
    for (let at = 0; at < bits.length; at++) if ((bits[at]! & EXPONENT) === EXPONENT) finite = false
  })
  return whole ? finite : allFinite(tensorFloats(weight))
}

const group = (node: NodeProto): number => intAttribute(node, 'group', 1)

/** Of activations within 255 of their zero point and weights within 127 of theirs: more could leave int32, which wraps silently. */
const MOST_PRODUCTS = Math.floor((2 ** 31 - 1) / (255 * 127))

/** Products that one output element sums up. */
function productsSummed(kind: TargetKind, node: NodeProto, { dims }: TensorProto): number {
  if (kind === 'Conv') return elementCount(dims.slice(1))
  return dims[kind === 'Gemm' && intAttribute(node, 'transB', 0) !== 0 ? 1 : 0] ?? 0
}

function shapeRefusal(kind: TargetKind, node: NodeProto, weight: TensorProto): string | undefined {
  const rank = weight.dims.length
  if (kind === 'Conv' ? rank < 3 : rank !== 2) return 'weight of unusual rank'
  if (kind === 'Gather') return intAttribute(node, 'axis', 0) === 0 ? undefined : 'gathers along columns'
  return productsSummed(kind, node, weight) > MOST_PRODUCTS ? 'sums that could overflow int32' : undefined
}
