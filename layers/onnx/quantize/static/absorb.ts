import type { NodeProto } from '../../codec/schema.ts'
import { elementCount, tensorFloats } from '../../codec/tensor-values.ts'
import { constantTensor, type GraphIndex, isPlain } from '../../graph/index-graph.ts'
import { endsOf, type Scale } from './scales.ts'
import { onlyReader } from './units.ts'

interface Absorber {
  index: GraphIndex
  chooses(node: NodeProto): boolean
  /** The scale a value would get; undefined when its range is unknown. */
  scale(name: string): Scale | undefined
}

/** The ReLU, Clip, Max or Min behind a value whose clipping the ends of the result's 8-bit range repeat, to half a step. */
export function absorbing(absorber: Absorber, output: string): { output: string; absorbed?: NodeProto } {
  const reader = onlyReader(absorber.index, output)
  const after = reader?.node.output[0] ?? ''
  const scale = absorber.scale(after)
  if (!reader || !scale || !absorber.chooses(reader.node)) return { output }
  const limits = limitsOf(absorber.index, reader.node, reader.input)
  const ends = endsOf(scale)
  const slack = (ends.max - ends.min) / 510
  return limits && ends.min >= limits.min - slack && ends.max <= limits.max + slack
    ? { output: after, absorbed: reader.node }
    : { output }
}

/** The ends a node clips the input at this position to; undefined when it is no clipping. */
function limitsOf(index: GraphIndex, node: NodeProto, input: number): { min: number; max: number } | undefined {
  const stored = (at: number, absent: number): number => {
    const name = node.input[at] ?? ''
    if (name === '') return absent
    const tensor = constantTensor(index, name)
    return tensor && elementCount(tensor.dims) === 1 ? (tensorFloats(tensor)[0] ?? Number.NaN) : Number.NaN
  }
  const [none_below, none_above] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  if (isPlain(node, 'Relu')) return { min: 0, max: none_above }
  if (isPlain(node, 'Clip') && input === 0) return { min: stored(1, none_below), max: stored(2, none_above) }
  if (node.input.length !== 2) return undefined
  if (isPlain(node, 'Max')) return { min: stored(1 - input, Number.NaN), max: none_above }
  return isPlain(node, 'Min') ? { min: none_below, max: stored(1 - input, Number.NaN) } : undefined
}
