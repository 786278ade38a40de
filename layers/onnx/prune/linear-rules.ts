import { intAttribute } from '../graph/attributes.ts'
import { type ChannelRule, fixAxis, none, rankOf, unknown } from './elementwise-rules.ts'
import { because, type Flow } from './flow.ts'
import type { Labels } from './labels.ts'

const consume = (flow: Flow, consumer: Omit<(typeof flow.consumers)[number], 'labels'> & { labels: Labels | null }): void => {
  const { labels } = consumer
  if (labels) flow.consumers.push({ ...consumer, labels })
}

/** Products: the shared axis ends here, the other axis of a stored factor makes new channels. */
export const matMul: ChannelRule = (node, flow) => {
  const [left = '', right = ''] = node.input
  const [rank, right_rank] = [rankOf(flow, left), rankOf(flow, right)]
  if (rank < 2 || right_rank < 2) return unknown(node, flow)
  const why = because(node, 'is summed up with an axis that cannot be shortened by')
  if (flow.stored(right)) {
    const a = flow.axes(left)
    const weight_axis = right_rank - 2
    const shared = a.at(-1) ?? null
    for (let axis = 0; axis < weight_axis; axis++) flow.bind(right, axis, a[axis + rank - right_rank] ?? null, why)
    const labels = flow.bind(right, weight_axis, shared, why)
    consume(flow, { node, weight: right, weight_axis, input: left, input_axis: rank - 1, labels: shared && labels })
    const made = flow.born(right, right_rank - 1, node.output[0] ?? '')
    flow.set(node.output[0] ?? '', [...none(Math.max(0, right_rank - rank)), ...a.slice(0, -1), made])
  } else if (flow.stored(left)) {
    const b = flow.axes(right)
    if (rank !== 2) return unknown(node, flow)
    const shared = b.at(-2) ?? null
    const labels = flow.bind(left, 1, shared, why)
    consume(flow, { node, weight: left, weight_axis: 1, input: right, input_axis: right_rank - 2, labels: shared && labels })
    flow.set(node.output[0] ?? '', b.with(-2, flow.born(left, 0, node.output[0] ?? '')))
  } else bothComputed(node, flow)
}

const bothComputed: ChannelRule = (node, flow) => {
  const [left = '', right = '', output = ''] = [...node.input.slice(0, 2), node.output[0]]
  const [a, b] = [flow.axes(left), flow.axes(right)]
  const why = because(node, 'meets an axis that cannot be shortened in')
  flow.unify(a.at(-1) ?? null, b.at(-2) ?? null, why)
  const dims = flow.dims(output) ?? []
  const axes = dims.slice(0, -2).map((size, axis): Labels | null => {
    const [from_a, from_b] = [axis - (dims.length - a.length), axis - (dims.length - b.length)]
    const wide_a = flow.dims(left)?.[from_a] === size
    const wide_b = flow.dims(right)?.[from_b] === size
    if (size <= 1) return null
    if (wide_a && wide_b) return flow.unify(a[from_a] ?? null, b[from_b] ?? null, why)
    return (wide_a ? a[from_a] : b[from_b]) ?? null
  })
  flow.set(output, [...axes, a.at(-2) ?? null, b.at(-1) ?? null])
}

export const gemm: ChannelRule = (node, flow) => {
  const [left = '', right = '', bias = ''] = node.input
  const trans_a = intAttribute(node, 'transA', 0) !== 0
  const trans_b = intAttribute(node, 'transB', 0) !== 0
  if (!flow.stored(right) || (bias !== '' && !flow.stored(bias))) return unknown(node, flow)
  const why = because(node, 'is summed up with an axis that cannot be shortened by')
  const a = flow.axes(left)
  const input_axis = trans_a ? 0 : 1
  const weight_axis = trans_b ? 1 : 0
  const shared = a[input_axis] ?? null
  const labels = flow.bind(right, weight_axis, shared, why)
  consume(flow, { node, weight: right, weight_axis, input: left, input_axis, labels: shared && labels })
  const made = flow.born(right, 1 - weight_axis, node.output[0] ?? '')
  const rows = a[1 - input_axis] ?? null
  const shape = flow.stored(bias)?.dims ?? []
  if ((shape.at(-1) ?? 1) > 1) flow.bind(bias, shape.length - 1, made, why)
  if (shape.length === 2 && shape[0]! > 1) flow.bind(bias, 0, rows, why)
  flow.set(node.output[0] ?? '', [rows, made])
}

/** Conv: whole groups go together; a depthwise one has a group per channel. */
export const conv: ChannelRule = (node, flow) => {
  const [input = '', weight = '', bias = ''] = node.input
  const dims = flow.stored(weight)?.dims
  if (!dims || (bias !== '' && !flow.stored(bias))) return unknown(node, flow)
  const [, channels = null, ...spatial] = flow.axes(input)
  const why = because(node, 'is summed up with an axis that cannot be shortened by')
  for (const axis of spatial) fixAxis(flow, axis, why)
  for (let axis = 2; axis < dims.length; axis++) flow.bind(weight, axis, null, why)
  const group = intAttribute(node, 'group', 1)
  const made = flow.born(weight, 0, node.output[0] ?? '')
  if (group === 1) {
    const labels = flow.bind(weight, 1, channels, why)
    consume(flow, { node, weight, weight_axis: 1, input, input_axis: 1, labels: channels && labels })
  } else {
    flow.bind(weight, 1, null, why)
    joinGroups(flow, channels, made, group, why)
    if (made) flow.edits.push({ kind: 'group', node, labels: made, per_group: made.length / group })
  }
  if (bias !== '') flow.bind(bias, 0, made, why)
  flow.set(node.output[0] ?? '', [flow.axes(input)[0] ?? null, made, ...spatial.map(() => null)])
}

/** Makes the inputs and outputs of each group one class. */
function joinGroups(flow: Flow, channels: Labels | null, made: Labels | null, group: number, why: string): void {
  if (!channels || !made) {
    fixAxis(flow, channels, why)
    fixAxis(flow, made, why)
    return
  }
  for (const labels of [channels, made]) {
    const each = labels.length / group
    for (let at = 0; at < labels.length; at++)
      flow.labels.union(channels[Math.floor(at / each) * (channels.length / group)]!, labels[at]!)
  }
}

export const convTranspose: ChannelRule = (node, flow) => {
  const [input = '', weight = '', bias = ''] = node.input
  const dims = flow.stored(weight)?.dims
  if (!dims || intAttribute(node, 'group', 1) !== 1 || (bias !== '' && !flow.stored(bias))) return unknown(node, flow)
  const [, channels = null, ...spatial] = flow.axes(input)
  const why = because(node, 'is summed up with an axis that cannot be shortened by')
  for (const axis of spatial) fixAxis(flow, axis, why)
  for (let axis = 2; axis < dims.length; axis++) flow.bind(weight, axis, null, why)
  const labels = flow.bind(weight, 0, channels, why)
  consume(flow, { node, weight, weight_axis: 0, input, input_axis: 1, labels: channels && labels })
  const made = flow.born(weight, 1, node.output[0] ?? '')
  if (bias !== '') flow.bind(bias, 0, made, why)
  flow.set(node.output[0] ?? '', [flow.axes(input)[0] ?? null, made, ...spatial.map(() => null)])
}

/** Recurrent layers: what goes in may be cut (W is [directions, gates·hidden, input]), what comes out stays. */
export const recurrent: ChannelRule = (node, flow) => {
  const [input = '', weight = '', ...rest] = node.input
  const why = because(node, 'reaches')
  const axes = flow.axes(input)
  if (!flow.stored(weight) || axes.length !== 3) return unknown(node, flow)
  flow.fix(rest, why)
  for (const axis of axes.slice(0, 2)) fixAxis(flow, axis, why)
  for (const axis of [0, 1]) flow.bind(weight, axis, null, why)
  const labels = flow.bind(weight, 2, axes[2] ?? null, why)
  consume(flow, { node, weight, weight_axis: 2, input, input_axis: 2, labels: (axes[2] ?? null) && labels })
}
