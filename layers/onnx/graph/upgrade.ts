import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'
import { nameSource } from './edit.ts'
import { type GraphIndex, indexGraph, isPlain } from './index-graph.ts'
import { opsetOf, plainDomain, setOpset, settleIrVersion } from './opsets.ts'
import { unchangedOperators } from './unchanged-operators.ts'
import { rewritesUntil21 } from './upgrade-later-rules.ts'
import { type Rule, rewritesUntil13 } from './upgrade-rules.ts'
import { mainGraph, subGraphs, walkNodes } from './walk.ts'

const OLDEST = 7
const NEWEST = 21

export type UpgradeTarget = 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18 | 19 | 20 | 21

/** What a rewrite of one node may use. */
export interface RewriteContext {
  model: ModelProto
  index: GraphIndex
  from: number
  to: number
  /** A name nothing else has. */
  fresh(base: string): string
  /** Stores a constant beside the graph and answers its name. */
  store(tensor: TensorProto): string
  /** @throws OnnxFault unsupported: this node cannot be carried over exactly */
  refuse(node: NodeProto, reason: string): never
}

/** Nodes that replace the given one; the same node when nothing changes. */
export type Rewrite = (node: NodeProto, context: RewriteContext) => NodeProto[]

interface Planned {
  graph: GraphProto
  nodes: NodeProto[]
}

const refuse = (node: NodeProto, reason: string): never => {
  throw new OnnxFault('unsupported', `Node "${node.name ?? ''}" (${node.op_type}) cannot be carried to a later opset: ${reason}`)
}

/**
 * Raises the default domain's opset to 11 … 21 so that the model computes exactly what it did, or refuses and leaves the model
 * untouched. Only raising the number would break Clip, Slice, Squeeze, Reduce…, Split, Pad, Softmax, Dropout, Resize, TopK, RoiAlign,
 * DFT, GridSample, GroupNormalization. Nodes in sub-graphs are carried along. Does nothing when the model is there already.
 *
 * @returns how many nodes were rewritten
 * @throws OnnxFault unsupported, naming the node and why
 * Source: operator changelog of ONNX, https://github.com/onnx/onnx/blob/main/docs/Changelog.md
 */
export const upgradeOpset = (model: ModelProto, to: UpgradeTarget): { from: number; rewritten: number } => {
  const from = opsetOf(model) ?? (usesDefaultDomain(model) ? 1 : to)
  if (from >= to) return { from, rewritten: 0 }
  if (from < OLDEST)
    throw new OnnxFault('unsupported', `Opset ${from} is older than ${OLDEST}, whose operators broadcast differently`)
  if (to > NEWEST) throw new OnnxFault('unsupported', `Opset ${to} is beyond ${NEWEST}, the last one the rules here cover`)
  if (model.functions.length > 0) throw new OnnxFault('unsupported', 'A model with functions of its own keeps its opset')
  const stored: TensorProto[] = []
  const fresh = nameSource(model)
  const store = (tensor: TensorProto): string => {
    stored.push(tensor)
    return tensor.name ?? ''
  }
  const plans: Planned[] = []
  const rewritten = planGraph(mainGraph(model), undefined, { model, from, to, fresh, store, refuse }, plans)
  for (const { graph, nodes } of plans) graph.node = nodes
  mainGraph(model).initializer.push(...stored)
  setOpset(model, '', to)
  if (stored.length > 0) settleIrVersion(model)
  return { from, rewritten }
}

/** A model of other domains alone needs no version of this one. */
const usesDefaultDomain = (model: ModelProto): boolean => {
  for (const node of walkNodes(model)) if (plainDomain(node.domain) === '') return true
  return false
}

const planGraph = (
  graph: GraphProto,
  outer: GraphIndex | undefined,
  common: Omit<RewriteContext, 'index'>,
  plans: Planned[],
): number => {
  const index = indexGraph(graph, { ir_version: common.model.ir_version, ...(outer ? { outer } : {}) })
  const context: RewriteContext = { ...common, index }
  const nodes: NodeProto[] = []
  let rewritten = 0
  for (const node of graph.node) {
    for (const inner of subGraphs(node)) rewritten += planGraph(inner, index, common, plans)
    const replacement = isPlain(node, node.op_type ?? '') ? rewriteNode(node, context) : [node]
    if (replacement.length !== 1 || replacement[0] !== node) rewritten++
    nodes.push(...replacement)
  }
  plans.push({ graph, nodes })
  return rewritten
}

const rulesOf = (op_type: string): readonly Rule[] =>
  [rewritesUntil13, rewritesUntil21].flatMap((rules) => (Object.hasOwn(rules, op_type) ? (rules[op_type] ?? []) : []))

const rewriteNode = (node: NodeProto, context: RewriteContext): NodeProto[] => {
  const op_type = node.op_type ?? ''
  const rules = rulesOf(op_type)
  if (rules.length === 0 && !unchangedOperators.has(op_type)) refuse(node, 'it is not known to keep its meaning')
  let nodes = [node]
  for (const { since, rewrite } of rules) {
    if (context.from >= since || context.to < since) continue
    nodes = nodes.flatMap((each) => (each.op_type === op_type ? rewrite(each, context) : [each]))
  }
  return nodes
}
