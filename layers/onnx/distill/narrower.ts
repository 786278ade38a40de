import { DataType } from '../codec/data-types.ts'
import type { ModelProto, TensorProto } from '../codec/schema.ts'
import { elementCount, resolveTensor, tensorFloats } from '../codec/tensor-values.ts'
import { attributeOf } from '../graph/attributes.ts'
import { intAttr, makeTensor } from '../graph/build.ts'
import { mainGraph } from '../graph/walk.ts'
import { type ChannelChain, type ChannelSlice, channelChains } from './channel-chains.ts'

/** Kernels work in blocks of eight channels. */
const MULTIPLE = 8

/** Sum of squares of a tensor's elements for each channel along an axis; `block` neighbours there belong to one channel. */
const channelEnergy = (tensor: TensorProto, { axis, block }: ChannelSlice): Float64Array => {
  const values = tensorFloats(resolveTensor(tensor))
  const inner = elementCount(tensor.dims.slice(axis + 1))
  const size = tensor.dims[axis]!
  const energy = new Float64Array(size / block)
  for (let at = 0; at < values.length; at++) energy[Math.floor((Math.floor(at / inner) % size) / block)]! += values[at]! ** 2
  return energy
}

/** The kept channels of a tensor along an axis, in order. */
const cut = (tensor: TensorProto, { axis, block }: ChannelSlice, kept: readonly number[]): TensorProto => {
  const values = tensorFloats(resolveTensor(tensor))
  const stretch = elementCount(tensor.dims.slice(axis + 1)) * block
  const line = stretch * (tensor.dims[axis]! / block)
  const dims = tensor.dims.with(axis, kept.length * block)
  const out = new Float32Array(elementCount(dims))
  let at = 0
  for (let start = 0; start < values.length; start += line)
    for (const channel of kept) {
      out.set(values.subarray(start + channel * stretch, start + (channel + 1) * stretch), at)
      at += stretch
    }
  return { ...makeTensor(tensor.name ?? '', dims, out), data_type: DataType.FLOAT }
}

const widthFor = (channels: number, share: number): number =>
  Math.min(channels, Math.max(MULTIPLE, Math.round((channels * share) / MULTIPLE) * MULTIPLE))

/** Channels by the weight going in times the weight going out (Li et al., arXiv 1608.08710, on both sides), largest first. */
const importantFirst = (chain: ChannelChain, weights: ReadonlyMap<string, TensorProto>): number[] => {
  const energy = (slice: ChannelSlice): Float64Array => channelEnergy(weights.get(slice.name)!, slice)
  const arriving = energy(chain.makes)
  const leaving = chain.reads.map(energy)
  const score = (channel: number): number => arriving[channel]! * leaving.reduce((sum, each) => sum + each[channel]!, 0)
  return Array.from({ length: chain.channels }, (_, channel) => channel).toSorted((a, b) => score(b) - score(a))
}

/**
 * Keeps about `share` of the inner channels of every chain layer → elementwise … → layer, those with the largest weights, rounded to
 * eights; model inputs, outputs and channels that residual sums tie together keep their width. Edits the model in place. Answers
 * "layer: from → to" for each chain made narrower.
 */
export const makeNarrower = (model: ModelProto, share: number): string[] => {
  const graph = mainGraph(model)
  const weights = new Map(graph.initializer.map((tensor) => [tensor.name ?? '', tensor]))
  const notes: string[] = []
  for (const chain of channelChains(model)) {
    const width = widthFor(chain.channels, share)
    if (width >= chain.channels) continue
    const kept = importantFirst(chain, weights)
      .slice(0, width)
      .toSorted((a, b) => a - b)
    for (const slice of [chain.makes, ...chain.carries, ...chain.reads])
      weights.set(slice.name, cut(weights.get(slice.name)!, slice, kept))
    for (const node of chain.depthwise) {
      const group = attributeOf(node, 'group')
      node.attribute = node.attribute.map((each) => (each === group ? intAttr('group', width) : each))
    }
    notes.push(`${chain.name}: ${chain.channels} → ${width}`)
  }
  graph.initializer = graph.initializer.map((tensor) => weights.get(tensor.name ?? '') ?? tensor)
  graph.value_info = []
  return notes
}
