import { AttributeType } from '../codec/data-types.ts'
import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { resolveTensor, tensorBytes, tensorNumbers } from '../codec/tensor-values.ts'
import { withoutAttributes } from '../graph/attributes.ts'
import { int64Tensor, intAttr, intsAttr, makeNode, tensorAttr } from '../graph/build.ts'
import { dropUnused, nameSource } from '../graph/edit.ts'
import { constantTensor } from '../graph/index-graph.ts'
import { settleIrVersion } from '../graph/opsets.ts'
import { mainGraph } from '../graph/walk.ts'
import type { Edit, Flow } from './flow.ts'
import type { Labels } from './labels.ts'

export type Keeps = (label: number) => boolean

/** Positions of an axis that stay. */
export const keptPositions = (labels: Labels, keeps: Keeps): number[] =>
  [...labels.keys()].filter((position) => keeps(labels[position]!))

/** A copy of a tensor with only these positions of one axis. Element types of less than a byte are not cut. */
export function takePositions(tensor: TensorProto, axis: number, positions: readonly number[]): TensorProto {
  const bytes = tensorBytes(tensor)
  const size = tensor.dims[axis] ?? 1
  const outer = tensor.dims.slice(0, axis).reduce((product, dim) => product * dim, 1)
  const run = bytes.length / outer / size
  const taken = new Uint8Array(outer * positions.length * run)
  let at = 0
  for (let row = 0; row < outer; row++) {
    for (const position of positions) {
      const from = (row * size + position) * run
      taken.set(bytes.subarray(from, from + run), at)
      at += run
    }
  }
  return rawTensor(tensor, tensor.dims.with(axis, positions.length), taken)
}

/** The same tensor with other elements, given as little-endian bytes. */
export function rawTensor(tensor: TensorProto, dims: number[], raw_data: Uint8Array): TensorProto {
  const { name, data_type } = resolveTensor(tensor)
  return { name, dims, data_type, raw_data, string_data: [], external_data: [], metadata_props: [] }
}

/** Puts a tensor where the graph stores the one of this name: among the initializers or in a Constant node. */
export function storeTensor(graph: GraphProto, name: string, tensor: TensorProto): void {
  const at = graph.initializer.findIndex((each) => each.name === name)
  if (at >= 0) {
    graph.initializer[at] = tensor
    return
  }
  const node = graph.node.find((each) => each.output.includes(name))
  if (node) node.attribute = [tensorAttr('value', { ...tensor, name: '' })]
}

/**
 * Removes the channels that `keeps` denies from a model whose channels were traced: every stored tensor loses their positions, and
 * sizes that are spelt out follow. Changes `model`, which must be the one that was traced or a copy of it. Declared shapes of values
 * in between, which would be wrong now, go.
 */
export function cutChannels(model: ModelProto, flow: Flow, keeps: Keeps): void {
  const graph = mainGraph(model)
  for (const [name, axes] of flow.bound) {
    let tensor = flow.stored(name)
    let cut = false
    for (const [axis, labels] of axes.entries()) {
      if (!labels || !tensor || labels.every((label) => keeps(label))) continue
      tensor = takePositions(tensor, axis, keptPositions(labels, keeps))
      cut = true
    }
    if (tensor && cut) storeTensor(graph, name, tensor)
  }
  const fresh = nameSource(model)
  for (const edit of flow.edits) followEdit(graph, flow, edit, keeps, fresh)
  graph.value_info = []
  dropUnused(model)
  settleIrVersion(model)
}

function followEdit(graph: GraphProto, flow: Flow, edit: Edit, keeps: Keeps, fresh: (base: string) => string): void {
  const node = graph.node.find((each) => each.output[0] === edit.node.output[0])
  const count = (labels: Labels) => keptPositions(labels, keeps).length
  if (!node) return
  if (edit.kind === 'group') {
    node.attribute = [...withoutAttributes(node, 'group').attribute, intAttr('group', count(edit.labels) / edit.per_group)]
  } else if (edit.kind === 'split') {
    const sizes = edit.parts.map(count)
    node.attribute = withoutAttributes(node, 'split', 'num_outputs').attribute
    if (flow.opset < 13) node.attribute.push(intsAttr('split', sizes))
    else node.input = [node.input[0] ?? '', storeSizes(graph, fresh(`${node.output[0]}_sizes`), sizes)]
  } else {
    const sizes = edit.axes.map((labels) => (labels && !labels.every((label) => keeps(label)) ? count(labels) : undefined))
    if (sizes.some((size) => size !== undefined)) rewriteSizes(graph, flow, node, edit.input, sizes, fresh)
  }
}

function storeSizes(graph: GraphProto, name: string, sizes: readonly number[]): string {
  graph.initializer.push(int64Tensor(name, sizes))
  return name
}

/** Gives a node its own list of sizes with some entries replaced (−1 and 0 stay); pieces that are computed stay computed. */
function rewriteSizes(
  graph: GraphProto,
  flow: Flow,
  node: NodeProto,
  input: number,
  sizes: readonly (number | undefined)[],
  fresh: (base: string) => string,
): void {
  const name = node.input[input] ?? ''
  const replaced = (tensor: TensorProto, first: number): number[] =>
    tensorNumbers(tensor).map((entry, at) => (entry > 0 ? (sizes[first + at] ?? entry) : entry))
  const whole = constantTensor(flow.index, name)
  const base = `${node.output[0]}_sizes`
  if (whole) {
    node.input[input] = storeSizes(graph, fresh(base), replaced(whole, 0))
    return
  }
  const concat = flow.index.producers.get(name)
  if (!concat) return
  let first = 0
  const pieces = concat.input.map((piece) => {
    const tensor = constantTensor(flow.index, piece)
    const start = first
    first += tensor ? (tensor.dims[0] ?? 1) : (flow.dims(piece)?.[0] ?? 0)
    return tensor ? storeSizes(graph, fresh(`${base}_piece`), replaced(tensor, start)) : piece
  })
  const joined = makeNode('Concat', pieces, [fresh(base)], {
    attributes: concat.attribute.filter(({ type }) => type === AttributeType.INT),
  })
  graph.node.splice(graph.node.indexOf(node), 0, joined)
  node.input[input] = joined.output[0] ?? ''
}
