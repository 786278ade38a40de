import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'

/** The model's graph. @throws OnnxFault not_a_model when the file has none */
export const mainGraph = (model: ModelProto): GraphProto => {
  if (!model.graph) throw new OnnxFault('not_a_model', 'The model holds no graph')
  return model.graph
}

/** Graphs a node carries: the branches of `If`, the bodies of `Loop` and `Scan`. */
export const subGraphs = (node: NodeProto): GraphProto[] => {
  const graphs: GraphProto[] = []
  for (const attribute of node.attribute) {
    if (attribute.g) graphs.push(attribute.g)
    graphs.push(...attribute.graphs)
  }
  return graphs
}

/** A graph with the graphs around it, outermost first; names resolve from the inside out. */
export interface GraphPlace {
  graph: GraphProto
  outer: GraphProto[]
}

/** The graph and every sub-graph below it, outer ones first. */
export function* walkGraphs(graph: GraphProto, outer: GraphProto[] = []): Generator<GraphPlace> {
  yield { graph, outer }
  for (const node of graph.node) {
    if (node.attribute.length === 0) continue
    for (const inner of subGraphs(node)) yield* walkGraphs(inner, [...outer, graph])
  }
}

function* walkNodeList(nodes: NodeProto[]): Generator<NodeProto> {
  for (const node of nodes) {
    yield node
    for (const graph of subGraphs(node)) yield* walkNodeList(graph.node)
  }
}

/** Every node of the model: the graph's, its sub-graphs', and those of model-local functions. */
export function* walkNodes(model: ModelProto): Generator<NodeProto> {
  yield* walkNodeList(mainGraph(model).node)
  for (const body of model.functions) yield* walkNodeList(body.node)
}

/** Every stored tensor: initializers (sparse ones too) and tensors in attributes, wherever they are. */
export function* walkTensors(model: ModelProto): Generator<TensorProto> {
  for (const { graph } of walkGraphs(mainGraph(model))) {
    yield* graph.initializer
    for (const sparse of graph.sparse_initializer) {
      if (sparse.values) yield sparse.values
      if (sparse.indices) yield sparse.indices
    }
  }
  for (const node of walkNodes(model)) {
    for (const attribute of node.attribute) {
      if (attribute.t) yield attribute.t
      yield* attribute.tensors
      for (const sparse of attribute.sparse_tensor
        ? [attribute.sparse_tensor, ...attribute.sparse_tensors]
        : attribute.sparse_tensors) {
        if (sparse.values) yield sparse.values
        if (sparse.indices) yield sparse.indices
      }
    }
  }
}

/** Names a graph uses but does not define: what it captures from the graphs around it. */
export const capturedNames = (graph: GraphProto): Set<string> => {
  const defined = new Set<string>()
  for (const input of graph.input) defined.add(input.name ?? '')
  for (const tensor of graph.initializer) defined.add(tensor.name ?? '')
  for (const sparse of graph.sparse_initializer) defined.add(sparse.values?.name ?? '')
  for (const node of graph.node) for (const name of node.output) defined.add(name)
  const captured = new Set<string>()
  const use = (name: string): void => {
    if (name !== '' && !defined.has(name)) captured.add(name)
  }
  for (const node of graph.node) for (const name of usedNames(node)) use(name)
  for (const output of graph.output) use(output.name ?? '')
  return captured
}

/** What a node needs: its inputs and whatever its sub-graphs capture. Empty names (omitted inputs) are left out. */
export const usedNames = (node: NodeProto): string[] => {
  const names = node.input.filter((name) => name !== '')
  for (const graph of subGraphs(node)) names.push(...capturedNames(graph))
  return names
}
