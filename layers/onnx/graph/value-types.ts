import { DataType } from '../codec/data-types.ts'
import type { GraphProto, ModelProto, TypeProto } from '../codec/schema.ts'
import { constantTensor, type GraphIndex } from './index-graph.ts'
import { usesDataType } from './opsets.ts'

/** The declared type of a value, where the file says it: inputs, outputs and value_info of its graph. */
const declaredType = (graph: GraphProto, name: string): TypeProto | undefined => {
  for (const list of [graph.input, graph.output, graph.value_info]) {
    const found = list.find((value) => value.name === name)
    if (found?.type) return found.type
  }
  return undefined
}

const typeOf = (index: GraphIndex, name: string): TypeProto | undefined => {
  const declared = declaredType(index.graph, name)
  if (declared) return declared
  return index.outer && !index.producers.has(name) ? typeOf(index.outer, name) : undefined
}

/**
 * The element type of a value: what the file declares, or FLOAT when the model knows no other floating-point type. Undefined when
 * it cannot be told. For operators that take floating-point numbers only.
 */
export const elementTypeOf = ({ model, index }: { model: ModelProto; index: GraphIndex }, name: string): number | undefined => {
  const declared = typeOf(index, name)?.tensor_type?.elem_type ?? constantTensor(index, name)?.data_type
  if (declared) return declared
  return usesDataType(model, DataType.FLOAT16, DataType.DOUBLE, DataType.BFLOAT16) ? undefined : DataType.FLOAT
}

/** The number of dimensions of a value, where the file declares a shape. */
export const rankOf = ({ index }: { index: GraphIndex }, name: string): number | undefined =>
  typeOf(index, name)?.tensor_type?.shape?.dim.length ?? constantTensor(index, name)?.dims.length
