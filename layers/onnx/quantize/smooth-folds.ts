import { DataType } from '../codec/data-types.ts'
import type { NodeProto, TensorProto } from '../codec/schema.ts'
import { tensorFloats } from '../codec/tensor-values.ts'
import { constantTensor, type GraphIndex, isPlain } from '../graph/index-graph.ts'

/** A stored tensor with one element per channel that scales or shifts a value. */
export interface Fold {
  node: NodeProto
  input: number
  tensor: TensorProto
}

/** Stored per-channel factors and offsets right before a value, all of which must be divided; empty when there is none. */
export function foldable(index: GraphIndex, value: string, channels: number): Fold[] {
  const perChannel = (node: NodeProto, input: number): Fold[] => {
    const tensor = constantTensor(index, node.input[input] ?? '')
    const fits =
      tensor?.data_type === DataType.FLOAT && tensor.dims.at(-1) === channels && tensorFloats(tensor).length === channels
    return fits ? [{ node, input, tensor }] : []
  }
  const producer = index.producers.get(value)
  if (!producer) return []
  if (isPlain(producer, 'LayerNormalization')) {
    const wanted = (producer.input[2] ?? '') === '' ? [1] : [1, 2]
    const found = wanted.flatMap((input) => perChannel(producer, input))
    return found.length === wanted.length ? found : []
  }
  const stored = (node: NodeProto): Fold[] => [...perChannel(node, 0), ...perChannel(node, 1)]
  if (isPlain(producer, 'Mul')) return stored(producer)
  if (!isPlain(producer, 'Add')) return []
  const [offset] = stored(producer)
  if (!offset) return []
  const inner = producer.input[1 - offset.input] ?? ''
  const scale = index.producers.get(inner)
  const sole = (index.uses.get(inner) ?? []).length === 1 && !index.outputs.has(inner)
  const [factor] = scale && sole && isPlain(scale, 'Mul') ? stored(scale) : []
  return factor ? [factor, offset] : []
}
