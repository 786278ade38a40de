import type { GraphProto, ModelProto, NodeProto } from '../codec/schema.ts'
import { topologicalOrder } from './index-graph.ts'
import { mainGraph, subGraphs, usedNames, walkGraphs } from './walk.ts'

/** Answers names that no value and no node of the model has yet: `base`, or `base_1`, `base_2` … */
export const nameSource = (model: ModelProto): ((base: string) => string) => {
  const taken = new Set<string>()
  for (const { graph } of walkGraphs(mainGraph(model))) {
    for (const value of [...graph.input, ...graph.output, ...graph.initializer]) taken.add(value.name ?? '')
    for (const node of graph.node) for (const name of [node.name ?? '', ...node.input, ...node.output]) taken.add(name)
  }
  return (base) => {
    let name = base
    for (let count = 1; taken.has(name); count++) name = `${base}_${count}`
    taken.add(name)
    return name
  }
}

/** Puts `replacement` where `node` stands (nothing: removes it). */
export const replaceNode = (graph: GraphProto, node: NodeProto, replacement: readonly NodeProto[]): void => {
  const at = graph.node.indexOf(node)
  if (at >= 0) graph.node.splice(at, 1, ...replacement)
}

/** Makes every reader of `from`, sub-graphs included, read `to`. Graph outputs keep their names, which callers know. */
export const replaceUses = (graph: GraphProto, from: string, to: string): void => {
  for (const node of graph.node) {
    node.input = node.input.map((name) => (name === from ? to : name))
    for (const inner of subGraphs(node)) if (!defines(inner, from)) replaceCaptured(inner, from, to)
  }
}

const replaceCaptured = (graph: GraphProto, from: string, to: string): void => {
  replaceUses(graph, from, to)
  for (const output of graph.output) if (output.name === from) output.name = to
}

const defines = (graph: GraphProto, name: string): boolean =>
  graph.input.some((input) => input.name === name) ||
  graph.initializer.some((tensor) => tensor.name === name) ||
  graph.node.some((node) => node.output.includes(name))

export interface Dropped {
  nodes: number
  initializers: number
}

/**
 * Removes nodes whose results nobody reads and initializers nobody uses, in the graph and all sub-graphs; leaves the nodes in
 * topological order. Graph inputs stay, except those that only named a removed initializer.
 */
export const dropUnused = (model: ModelProto): Dropped => dropFromGraph(mainGraph(model))

const dropFromGraph = (graph: GraphProto): Dropped => {
  const dropped: Dropped = { nodes: 0, initializers: 0 }
  const live = new Set(graph.output.map((output) => output.name ?? ''))
  const kept: NodeProto[] = []
  for (const node of topologicalOrder(graph).reverse()) {
    if (node.output.length > 0 && !node.output.some((name) => live.has(name))) {
      dropped.nodes++
      continue
    }
    kept.push(node)
    for (const inner of subGraphs(node)) {
      const below = dropFromGraph(inner)
      dropped.nodes += below.nodes
      dropped.initializers += below.initializers
    }
    for (const name of usedNames(node)) live.add(name)
  }
  graph.node = kept.reverse()
  const gone = new Set(graph.initializer.flatMap((tensor) => (live.has(tensor.name ?? '') ? [] : [tensor.name ?? ''])))
  dropped.initializers += gone.size
  graph.initializer = graph.initializer.filter((tensor) => !gone.has(tensor.name ?? ''))
  graph.sparse_initializer = graph.sparse_initializer.filter((sparse) => live.has(sparse.values?.name ?? ''))
  graph.input = graph.input.filter((input) => !gone.has(input.name ?? ''))
  graph.value_info = graph.value_info.filter((value) => live.has(value.name ?? ''))
  return dropped
}
