import type { NodeProto } from '../codec/schema.ts'
import { intAttribute, intsAttribute } from '../graph/attributes.ts'
import { isPlain } from '../graph/index-graph.ts'
import { fromStart } from '../inspect/shape-arithmetic.ts'
import { type ChannelRule, fixAxis, none, rankOf, unknown } from './elementwise-rules.ts'
import { because, type Flow } from './flow.ts'
import type { Axes, Labels } from './labels.ts'
import { regroup } from './regroup.ts'
import { shapeSource, storedNumbers } from './shape-source.ts'

/** Reshape, Flatten, Squeeze, Unsqueeze: elements keep their order, axes are split and merged. */
export const relayout: ChannelRule = (node, flow) => {
  const [input = '', output = ''] = [node.input[0], node.output[0]]
  const axes = regroup(
    flow.labels,
    flow.axes(input),
    flow.dims(input) ?? [],
    flow.dims(output) ?? [],
    because(node, 'is laid out anew by'),
  )
  flow.set(output, axes)
  if (isPlain(node, 'Reshape')) sizesFollow(node, flow, 1, axes)
}

/**
 * The list of sizes that a node is given must follow when an axis shrinks: stored entries are rewritten, −1 and 0 adapt by
 * themselves; where an entry is computed the axis stays.
 */
function sizesFollow(node: NodeProto, flow: Flow, input: number, axes: Axes): void {
  if (axes.every((each) => each === null)) return
  const { entries } = shapeSource(flow, node.input[input] ?? '')
  const before = flow.axes(node.input[0] ?? '')
  const copies = intAttribute(node, 'allowzero', 0) === 0
  axes.forEach((labels, axis) => {
    const entry = entries[axis]
    const adapts = entry !== undefined && (entry > 0 || entry === -1 || (entry === 0 && copies && sameAxis(before[axis], labels)))
    if (!adapts) fixAxis(flow, labels, because(node, 'has its size computed for'))
  })
  flow.edits.push({ kind: 'shape', node, input, axes })
}

const sameAxis = (a: Labels | null | undefined, b: Labels | null): boolean =>
  a !== undefined && a !== null && b !== null && a.length === b.length && a.every((label, at) => label === b[at])

export const transpose: ChannelRule = (node, flow) => {
  const axes = flow.axes(node.input[0] ?? '')
  const order = intsAttribute(node, 'perm') ?? [...axes.keys()].reverse()
  flow.set(
    node.output[0] ?? '',
    order.map((axis) => axes[axis] ?? null),
  )
}

export const concat: ChannelRule = (node, flow) => {
  const output = node.output[0] ?? ''
  const along = fromStart(intAttribute(node, 'axis', 0), rankOf(flow, output))
  const why = because(node, 'meets an axis that cannot be shortened in')
  const axes = none(rankOf(flow, output)).map((_, axis) => {
    if (axis === along) return joined(node, flow, axis, why)
    let met: Labels | null | undefined
    for (const name of node.input) {
      const own = flow.stored(name) ? flow.bind(name, axis, met ?? null, why) : (flow.axes(name)[axis] ?? null)
      met = met === undefined ? own : flow.unify(met, own, why)
    }
    return met ?? null
  })
  flow.set(output, axes)
}

/** The labels of all parts one after the other; parts without any get some that must stay. */
function joined(node: NodeProto, flow: Flow, axis: number, why: string): Labels | null {
  const parts = node.input.map((name) => ({ name, size: flow.dims(name)?.[axis] ?? 0, labels: flow.axes(name)[axis] ?? null }))
  for (const { name } of parts) if (flow.stored(name)) flow.bind(name, axis, null, why)
  if (parts.every(({ labels }) => labels === null)) return null
  return Int32Array.from(
    parts.flatMap(({ name, size, labels }) => {
      if (labels) return [...labels]
      const made = flow.labels.fresh({ value: name, size })
      flow.labels.fix(made, why)
      return [...made]
    }),
  )
}

export const split: ChannelRule = (node, flow) => {
  const input = node.input[0] ?? ''
  const axes = flow.axes(input)
  const along = fromStart(intAttribute(node, 'axis', 0), axes.length)
  const labels = axes[along] ?? null
  const parts: Labels[] = []
  let start = 0
  for (const output of node.output) {
    const size = flow.dims(output)?.[along] ?? 0
    const part = labels?.slice(start, start + size) ?? null
    start += size
    if (part) parts.push(part)
    flow.set(output, axes.with(along, part && part.length > 1 ? part : null))
    if (part && part.length <= 1) fixAxis(flow, part, because(node, 'is split to single channels by'))
  }
  if (node.output.length !== parts.length || !labels) return
  if (start === labels.length) flow.edits.push({ kind: 'split', node, parts })
  else flow.labels.fix(labels, because(node, 'is split in part by'))
}

/** Operators that leave some axes as they are (Slice, Pad, Resize, pooling): an axis whose size changes stays, the others go on. */
export const keepingSizes =
  (sizes_input?: number): ChannelRule =>
  (node, flow) => {
    const [input = '', output = ''] = [node.input[0], node.output[0]]
    const [before, after] = [flow.dims(input) ?? [], flow.dims(output) ?? []]
    const why = because(node, 'is cut or widened by')
    const axes = flow.axes(input).map((labels, axis) => {
      if (before[axis] === after[axis] && before.length === after.length) return labels
      fixAxis(flow, labels, why)
      return null
    })
    for (const name of node.output) flow.set(name, name === output ? axes : none(rankOf(flow, name)))
    if (sizes_input !== undefined && node.input[sizes_input]) sizesFollow(node, flow, sizes_input, axes)
  }

/** Slice, and Pad: as above, but one that turns an axis round, or is computed, moves channels and keeps them all. */
export const cutting: ChannelRule = (node, flow) => {
  const steps = node.input[4] ? storedNumbers(flow, node.input[4]) : []
  const computed = node.input.slice(1, 4).some((name) => name !== '' && !flow.stored(name))
  const touched = node.op_type === 'Slice' ? (intsAttribute(node, 'axes') ?? storedNumbers(flow, node.input[3] ?? '')) : undefined
  const axes = flow.axes(node.input[0] ?? '')
  if (steps?.every((step) => step > 0) && !computed) return keepingSizes()(node, flow)
  for (const [axis, labels] of axes.entries())
    if (!touched || touched.some((each) => fromStart(each, axes.length) === axis))
      fixAxis(flow, labels, because(node, 'is cut by'))
  keepingSizes()(node, flow)
}

/** Pooling over the axes after the channels. */
export const pool: ChannelRule = (node, flow) => {
  const axes = flow.axes(node.input[0] ?? '')
  for (const axis of axes.slice(2)) fixAxis(flow, axis, because(node, 'is pooled by'))
  for (const name of node.output) flow.set(name, [axes[0] ?? null, axes[1] ?? null, ...axes.slice(2).map(() => null)])
}

/** Embeddings make channels; picking from a computed value keeps the axis that is picked from. */
export const gather: ChannelRule = (node, flow) => {
  const [data = '', indices = ''] = node.input
  const rank = rankOf(flow, data)
  const axis = fromStart(intAttribute(node, 'axis', 0), rank)
  flow.fix([indices], because(node, 'reaches'))
  const picked = none(rankOf(flow, indices))
  if (flow.stored(data)) {
    if (axis !== 0 || rank !== 2) return unknown(node, flow)
    flow.bind(data, 0, null, '')
    return flow.set(node.output[0] ?? '', [...picked, flow.born(data, 1, node.output[0] ?? '')])
  }
  const axes = flow.axes(data)
  fixAxis(flow, axes[axis], because(node, 'is picked from by'))
  flow.set(node.output[0] ?? '', [...axes.slice(0, axis), ...picked, ...axes.slice(axis + 1)])
}

/** The shape of a value: sizes that may change must not be read, or only by readers that ask for the other axes. */
export const shape: ChannelRule = (node, flow) => {
  const axes = flow.axes(node.input[0] ?? '')
  const readers = flow.index.uses.get(node.output[0] ?? '') ?? []
  const all = axes.map((_, axis) => axis)
  const read = flow.index.outputs.has(node.output[0] ?? '')
    ? all
    : readers.flatMap(({ node: reader }) => axesRead(reader, flow) ?? all)
  for (const axis of read) fixAxis(flow, axes[fromStart(axis, axes.length)], because(node, 'has its size read by'))
}

/** Which entries of a shape a node picks; undefined when it takes all or that cannot be told. */
function axesRead(reader: NodeProto, flow: Flow): number[] | undefined {
  if (isPlain(reader, 'Gather')) return storedNumbers(flow, reader.input[1] ?? '')
  if (!isPlain(reader, 'Slice')) return undefined
  const [starts, ends] = [
    intsAttribute(reader, 'starts') ?? storedNumbers(flow, reader.input[1] ?? ''),
    intsAttribute(reader, 'ends') ?? storedNumbers(flow, reader.input[2] ?? ''),
  ]
  const [from = -1, to = -1] = [starts?.[0], ends?.[0]]
  return from >= 0 && to > from && to < 64 && !reader.input[4]
    ? Array.from({ length: to - from }, (_, at) => from + at)
    : undefined
}
