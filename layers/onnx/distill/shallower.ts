import type { GraphProto, ModelProto, NodeProto } from '../codec/schema.ts'
import { dropUnused } from '../graph/edit.ts'
import { constantTensor, type GraphIndex, indexGraph, isPlain, topologicalOrder } from '../graph/index-graph.ts'
import { mainGraph, usedNames } from '../graph/walk.ts'
import { inferShapes } from '../inspect/infer-shapes.ts'

/** A part of the graph that could be left out: `output` would be read from `input`, a value of the same shape. */
interface Block {
  name: string
  input: string
  output: string
}

type Shapes = ReturnType<typeof inferShapes>

const sameShape = (shapes: Shapes, a: string, b: string): boolean => {
  const [left, right] = [shapes.get(a)?.shape, shapes.get(b)?.shape]
  return (
    left !== undefined && right !== undefined && left.length === right.length && left.every((size, axis) => size === right[axis])
  )
}

/** Whether `value` is computed from `from`. */
const dependsOn = (index: GraphIndex, value: string, from: string, seen = new Set<string>()): boolean => {
  if (value === from) return true
  if (seen.has(value)) return false
  seen.add(value)
  const producer = index.producers.get(value)
  return producer !== undefined && usedNames(producer).some((name) => dependsOn(index, name, from, seen))
}

/** x + f(x): without f, x remains. */
const residualBlock = (node: NodeProto, index: GraphIndex, shapes: Shapes): Block | undefined => {
  const [a, b] = [node.input[0]!, node.input[1]!]
  const output = node.output[0]!
  if (!isPlain(node, 'Add') || constantTensor(index, a) || constantTensor(index, b)) return undefined
  const input = dependsOn(index, a, b) ? b : dependsOn(index, b, a) ? a : undefined
  return input !== undefined && sameShape(shapes, input, output) ? { name: node.name || output, input, output } : undefined
}

const layers = ['Gemm', 'MatMul', 'Conv']
/** What belongs to a layer: its bias, its normalisation, its activation. */
const followers: ReadonlySet<string> = new Set(
  'Add BatchNormalization Clip Elu Gelu HardSigmoid HardSwish LeakyRelu Mul PRelu Relu Selu Sigmoid Softplus Tanh'.split(' '),
)

/** A layer as wide behind as before, with what follows it alone. */
const plainBlock = (node: NodeProto, index: GraphIndex, shapes: Shapes): Block | undefined => {
  if (!layers.some((op) => isPlain(node, op)) || !constantTensor(index, node.input[1] ?? '')) return undefined
  const input = node.input[0]!
  let output = node.output[0]!
  if (!sameShape(shapes, input, output)) return undefined
  for (;;) {
    const uses = index.uses.get(output) ?? []
    const next = uses[0]?.node
    const alone = uses.length === 1 && !index.outputs.has(output) && next !== undefined
    if (!alone || !followers.has(next.op_type ?? '') || !sameShape(shapes, output, next.output[0]!)) break
    if (next.input.some((name) => name !== output && name !== '' && !constantTensor(index, name))) break
    output = next.output[0]!
  }
  return { name: node.name || node.output[0]!, input, output }
}

/** Residual blocks where the model has them, else plain layers; none whose result callers read. */
const removableBlocks = (model: ModelProto): Block[] => {
  const graph = mainGraph(model)
  const index = indexGraph(graph, { ir_version: model.ir_version })
  const shapes = inferShapes(model)
  const found = (rule: typeof residualBlock): Block[] =>
    topologicalOrder(graph)
      .flatMap((node) => rule(node, index, shapes) ?? [])
      .filter((block) => !index.outputs.has(block.output))
  const residual = found(residualBlock)
  return residual.length > 0 ? residual : found(plainBlock)
}

/** As many of a list as asked, evenly spread, the first one last to go. */
const spreadOut = <Item>(items: readonly Item[], count: number): Item[] =>
  Array.from({ length: count }, (_, at) => items[items.length - 1 - Math.floor((at * items.length) / count)]!)

/**
 * Leaves out blocks so that about `share` of them remain: every k-th residual block, or layers as wide behind as before. What remains
 * keeps its weights (as DistilBERT took every second layer of its teacher, arXiv 1910.01108). Edits the model in place; answers the
 * names of the blocks left out, none when there is nothing to leave out.
 */
export const makeShallower = (model: ModelProto, share: number): string[] => {
  const blocks = removableBlocks(model)
  const count = blocks.length === 0 ? 0 : Math.min(blocks.length, Math.max(1, Math.round(blocks.length * (1 - share))))
  const chosen = spreadOut(blocks, count)
  const replaced = new Map(chosen.map(({ input, output }) => [output, input]))
  const source = (name: string): string => (replaced.has(name) ? source(replaced.get(name)!) : name)
  redirect(mainGraph(model), source)
  dropUnused(model)
  return chosen.map(({ name }) => name)
}

const redirect = (graph: GraphProto, source: (name: string) => string): void => {
  for (const node of graph.node) node.input = node.input.map(source)
}
