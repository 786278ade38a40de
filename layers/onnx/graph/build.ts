import { AttributeType, DataType, dataTypeFacts } from '../codec/data-types.ts'
import type {
  AttributeProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
  TypeProto,
  ValueInfoProto,
} from '../codec/schema.ts'
import { packBits } from '../codec/sub-byte.ts'
import type { TensorValues } from '../codec/tensor-values.ts'

const emptyAttribute = (name: string, type: number): AttributeProto => ({
  name,
  type,
  strings: [],
  tensors: [],
  graphs: [],
  sparse_tensors: [],
  type_protos: [],
})

export const intAttr = (name: string, value: number | bigint): AttributeProto => ({
  ...emptyAttribute(name, AttributeType.INT),
  i: BigInt(value),
})
export const floatAttr = (name: string, value: number): AttributeProto => ({
  ...emptyAttribute(name, AttributeType.FLOAT),
  f: value,
})
export const stringAttr = (name: string, value: string): AttributeProto => ({
  ...emptyAttribute(name, AttributeType.STRING),
  s: new TextEncoder().encode(value),
})
export const tensorAttr = (name: string, value: TensorProto): AttributeProto => ({
  ...emptyAttribute(name, AttributeType.TENSOR),
  t: value,
})
export const graphAttr = (name: string, value: GraphProto): AttributeProto => ({
  ...emptyAttribute(name, AttributeType.GRAPH),
  g: value,
})
export const floatsAttr = (name: string, values: readonly number[]): AttributeProto => ({
  ...emptyAttribute(name, AttributeType.FLOATS),
  floats: Float32Array.from(values),
})
export const intsAttr = (name: string, values: readonly (number | bigint)[]): AttributeProto => ({
  ...emptyAttribute(name, AttributeType.INTS),
  ints: BigInt64Array.from(values, BigInt),
})

/** A node; its name is its first output's, which is unique in a valid graph. */
export const makeNode = (
  op_type: string,
  input: readonly string[],
  output: readonly string[],
  options: { attributes?: AttributeProto[]; domain?: string; name?: string } = {},
): NodeProto => ({
  op_type,
  input: [...input],
  output: [...output],
  name: options.name ?? output[0] ?? op_type,
  ...(options.domain ? { domain: options.domain } : {}),
  attribute: options.attributes ?? [],
  metadata_props: [],
})

const typeOf = (values: TensorValues): number => {
  if (values instanceof Float32Array) return DataType.FLOAT
  if (values instanceof Float64Array) return DataType.DOUBLE
  if (values instanceof Int8Array) return DataType.INT8
  if (values instanceof Uint8Array) return DataType.UINT8
  if (values instanceof Int16Array) return DataType.INT16
  if (values instanceof Uint16Array) return DataType.UINT16
  if (values instanceof Int32Array) return DataType.INT32
  if (values instanceof Uint32Array) return DataType.UINT32
  return values instanceof BigInt64Array ? DataType.INT64 : DataType.UINT64
}

/**
 * A tensor with its elements in `raw_data` (a view of `values`). `data_type` is needed where the array does not tell: BOOL (Uint8Array),
 * FLOAT16 (Uint16Array of bit patterns), INT4 and other sub-byte types (one element per entry, packed here).
 */
export const makeTensor = (
  name: string,
  dims: readonly number[],
  values: TensorValues,
  data_type = typeOf(values),
): TensorProto => {
  const bits = dataTypeFacts(data_type)?.bits ?? 8
  const sub_byte = bits < 8 && (values instanceof Int8Array || values instanceof Uint8Array)
  const raw_data = sub_byte ? packBits(values, bits) : new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  return { name, dims: [...dims], data_type, raw_data, string_data: [], external_data: [], metadata_props: [] }
}

export const int64Tensor = (name: string, values: readonly number[]): TensorProto =>
  makeTensor(name, [values.length], BigInt64Array.from(values, BigInt))
export const scalarTensor = (name: string, value: number): TensorProto => makeTensor(name, [], Float32Array.of(value))

export const tensorType = (elem_type: number, shape?: readonly (number | string | null)[]): TypeProto => {
  const dim = shape?.map((size) => (typeof size === 'number' ? { dim_value: size } : size === null ? {} : { dim_param: size }))
  return { tensor_type: { elem_type, ...(dim ? { shape: { dim } } : {}) } }
}

/** A graph input or output: numbers are fixed dimensions, strings symbols, null unknown; no shape at all when left out. */
export const makeValueInfo = (name: string, elem_type: number, shape?: readonly (number | string | null)[]): ValueInfoProto => ({
  name,
  type: tensorType(elem_type, shape),
  metadata_props: [],
})

export interface GraphParts {
  name?: string
  nodes: NodeProto[]
  inputs?: ValueInfoProto[]
  outputs: ValueInfoProto[]
  initializers?: TensorProto[]
}

export const makeGraph = (parts: GraphParts): GraphProto => ({
  name: parts.name ?? 'graph',
  node: parts.nodes,
  initializer: parts.initializers ?? [],
  sparse_initializer: [],
  input: parts.inputs ?? [],
  output: parts.outputs,
  value_info: [],
  quantization_annotation: [],
  metadata_props: [],
})

export const makeModel = (
  graph: GraphProto,
  options: { opsets?: Record<string, number>; ir_version?: number; functions?: FunctionProto[] } = {},
): ModelProto => ({
  ir_version: options.ir_version ?? 8,
  producer_name: 'ai-deploy',
  opset_import: Object.entries(options.opsets ?? { '': 17 }).map(([domain, version]) => ({ domain, version })),
  graph,
  metadata_props: [],
  training_info: [],
  functions: options.functions ?? [],
})
