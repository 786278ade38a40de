import type { NodeProto } from '../codec/schema.ts'
import { intAttribute, intsAttribute } from '../graph/attributes.ts'
import { fromStart } from '../inspect/shape-arithmetic.ts'
import { because, type Flow } from './flow.ts'
import type { Axes, Labels } from './labels.ts'
import { storedNumbers } from './shape-source.ts'

/** Follows channels through one node: reads the axes of its inputs, sets those of its outputs. */
export type ChannelRule = (node: NodeProto, flow: Flow) => void

export const none = (rank: number): Axes => Array.from({ length: rank }, () => null)
export const rankOf = (flow: Flow, name: string): number => flow.dims(name)?.length ?? 0
export const fixAxis = (flow: Flow, labels: Labels | null | undefined, why: string): void => {
  if (labels) flow.labels.fix(labels, why)
}

/** Every output is like the first input, element by element. */
export const sameAsFirst: ChannelRule = (node, flow) => {
  const axes = flow.axes(node.input[0] ?? '')
  for (const name of node.output) flow.set(name, rankOf(flow, name) === axes.length ? axes : none(rankOf(flow, name)))
}

/** Operators that broadcast: axes are aligned from the last, stored operands are cut like what they meet. */
export const broadcast: ChannelRule = (node, flow) => {
  const output = node.output[0] ?? ''
  const dims = flow.dims(output) ?? []
  const operands = node.input.filter((name) => name !== '')
  const why = because(node, 'meets an axis that cannot be shortened in')
  const axes = dims.map((size, axis): Labels | null => {
    if (size <= 1) return null
    let met: Labels | null | undefined
    const at = (name: string): number => axis - (dims.length - rankOf(flow, name))
    const wide = operands.filter((name) => flow.dims(name)?.[at(name)] === size)
    for (const name of wide.filter((each) => !flow.stored(each))) {
      const own = flow.axes(name)[at(name)] ?? null
      met = met === undefined ? own : flow.unify(met, own, why)
    }
    for (const name of wide.filter((each) => flow.stored(each))) met = flow.bind(name, at(name), met ?? null, why)
    return met ?? null
  })
  flow.set(output, axes)
}

/** An operator that mixes positions along one axis, which must stay as it is, and leaves the others alone. */
export const mixing =
  (from: (node: NodeProto, flow: Flow, rank: number) => number[], what: string): ChannelRule =>
  (node, flow) => {
    const axes = flow.axes(node.input[0] ?? '')
    for (const axis of from(node, flow, axes.length)) fixAxis(flow, axes[axis], because(node, what))
    sameAsFirst(node, flow)
    flow.fix(node.input.slice(1), because(node, what))
  }

const upFrom = (first: number, rank: number): number[] => Array.from({ length: rank - first }, (_, at) => first + at)

/** Softmax meant all axes from `axis` on until operator set 13, and one since. */
export const softmaxAxes = (node: NodeProto, { opset }: Flow, rank: number): number[] => {
  if (opset >= 13) return [fromStart(intAttribute(node, 'axis', -1), rank)]
  return upFrom(fromStart(intAttribute(node, 'axis', 1), rank), rank)
}
export const layerNormAxes = (node: NodeProto, _flow: Flow, rank: number): number[] =>
  upFrom(fromStart(intAttribute(node, 'axis', -1), rank), rank)

/** BatchNormalization and InstanceNormalization: one stored number per channel, axis 1. */
export const perChannel: ChannelRule = (node, flow) => {
  const [input = '', ...parameters] = node.input
  const channels = flow.axes(input)[1] ?? null
  const why = because(node, 'is normalised by')
  for (const name of parameters) {
    if (flow.stored(name)) flow.bind(name, 0, channels, why)
    else fixAxis(flow, channels, why)
  }
  flow.set(node.output[0] ?? '', flow.axes(input))
}

/** Sums, means and extremes: the axes they run over stay, the others go on. */
export const reduce: ChannelRule = (node, flow) => {
  const [input = '', second = ''] = node.input
  const axes = flow.axes(input)
  const given = intsAttribute(node, 'axes') ?? (second === '' ? [] : storedNumbers(flow, second))
  const noop = intAttribute(node, 'noop_with_empty_axes', 0) === 1
  if (!given) return unknown(node, flow)
  const over = new Set(given.length > 0 || noop ? given.map((axis) => fromStart(axis, axes.length)) : axes.keys())
  for (const axis of over) fixAxis(flow, axes[axis], because(node, 'is summed up by'))
  const kept = intAttribute(node, 'keepdims', 1) === 1
  flow.set(
    node.output[0] ?? '',
    kept ? axes.map((each, axis) => (over.has(axis) ? null : each)) : axes.filter((_, axis) => !over.has(axis)),
  )
}

/** Nothing is known of this operator: whatever reaches it stays. */
export const unknown: ChannelRule = (node, flow) => {
  flow.fix(node.input, because(node, 'reaches'))
}
