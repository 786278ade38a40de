/** `TensorProto.DataType` of onnx.proto. */
export const DataType = {
  FLOAT: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  STRING: 8,
  BOOL: 9,
  FLOAT16: 10,
  DOUBLE: 11,
  UINT32: 12,
  UINT64: 13,
  COMPLEX64: 14,
  COMPLEX128: 15,
  BFLOAT16: 16,
  FLOAT8E4M3FN: 17,
  FLOAT8E4M3FNUZ: 18,
  FLOAT8E5M2: 19,
  FLOAT8E5M2FNUZ: 20,
  UINT4: 21,
  INT4: 22,
  FLOAT4E2M1: 23,
  FLOAT8E8M0: 24,
  UINT2: 25,
  INT2: 26,
} as const

/** `AttributeProto.AttributeType`. */
export const AttributeType = {
  FLOAT: 1,
  INT: 2,
  STRING: 3,
  TENSOR: 4,
  GRAPH: 5,
  FLOATS: 6,
  INTS: 7,
  STRINGS: 8,
  TENSORS: 9,
  GRAPHS: 10,
  SPARSE_TENSOR: 11,
  SPARSE_TENSORS: 12,
  TYPE_PROTO: 13,
  TYPE_PROTOS: 14,
} as const

/** `TensorProto.DataLocation`: weights in another file. */
export const EXTERNAL = 1

interface DataTypeFacts {
  name: string
  /** Bits of one element in `raw_data`; 0 for strings. */
  bits: number
  /** Name in the Open Inference Protocol, where it has one. */
  protocol?: string
  /** The typed field that may hold it instead of `raw_data`. */
  field: 'float_data' | 'int32_data' | 'int64_data' | 'double_data' | 'uint64_data' | 'string_data'
}

const facts: readonly (readonly [id: number, facts: DataTypeFacts])[] = [
  [DataType.FLOAT, { name: 'FLOAT', bits: 32, protocol: 'FP32', field: 'float_data' }],
  [DataType.UINT8, { name: 'UINT8', bits: 8, protocol: 'UINT8', field: 'int32_data' }],
  [DataType.INT8, { name: 'INT8', bits: 8, protocol: 'INT8', field: 'int32_data' }],
  [DataType.UINT16, { name: 'UINT16', bits: 16, protocol: 'UINT16', field: 'int32_data' }],
  [DataType.INT16, { name: 'INT16', bits: 16, protocol: 'INT16', field: 'int32_data' }],
  [DataType.INT32, { name: 'INT32', bits: 32, protocol: 'INT32', field: 'int32_data' }],
  [DataType.INT64, { name: 'INT64', bits: 64, protocol: 'INT64', field: 'int64_data' }],
  [DataType.STRING, { name: 'STRING', bits: 0, protocol: 'BYTES', field: 'string_data' }],
  [DataType.BOOL, { name: 'BOOL', bits: 8, protocol: 'BOOL', field: 'int32_data' }],
  [DataType.FLOAT16, { name: 'FLOAT16', bits: 16, protocol: 'FP16', field: 'int32_data' }],
  [DataType.DOUBLE, { name: 'DOUBLE', bits: 64, protocol: 'FP64', field: 'double_data' }],
  [DataType.UINT32, { name: 'UINT32', bits: 32, protocol: 'UINT32', field: 'uint64_data' }],
  [DataType.UINT64, { name: 'UINT64', bits: 64, protocol: 'UINT64', field: 'uint64_data' }],
  [DataType.COMPLEX64, { name: 'COMPLEX64', bits: 64, field: 'float_data' }],
  [DataType.COMPLEX128, { name: 'COMPLEX128', bits: 128, field: 'double_data' }],
  [DataType.BFLOAT16, { name: 'BFLOAT16', bits: 16, protocol: 'BF16', field: 'int32_data' }],
  [DataType.FLOAT8E4M3FN, { name: 'FLOAT8E4M3FN', bits: 8, field: 'int32_data' }],
  [DataType.FLOAT8E4M3FNUZ, { name: 'FLOAT8E4M3FNUZ', bits: 8, field: 'int32_data' }],
  [DataType.FLOAT8E5M2, { name: 'FLOAT8E5M2', bits: 8, field: 'int32_data' }],
  [DataType.FLOAT8E5M2FNUZ, { name: 'FLOAT8E5M2FNUZ', bits: 8, field: 'int32_data' }],
  [DataType.UINT4, { name: 'UINT4', bits: 4, field: 'int32_data' }],
  [DataType.INT4, { name: 'INT4', bits: 4, field: 'int32_data' }],
  [DataType.FLOAT4E2M1, { name: 'FLOAT4E2M1', bits: 4, field: 'int32_data' }],
  [DataType.FLOAT8E8M0, { name: 'FLOAT8E8M0', bits: 8, field: 'int32_data' }],
  [DataType.UINT2, { name: 'UINT2', bits: 2, field: 'int32_data' }],
  [DataType.INT2, { name: 'INT2', bits: 2, field: 'int32_data' }],
]
const by_id = new Map(facts)

/** What is known of a data type, or undefined for a number that onnx.proto does not list. */
export const dataTypeFacts = (data_type: number): DataTypeFacts | undefined => by_id.get(data_type)

/** `FLOAT`, `INT4` …; the number itself when it is unknown. */
export const dataTypeName = (data_type: number): string => by_id.get(data_type)?.name ?? `type ${data_type}`

/** The Open Inference Protocol's name (FP32, INT64, BYTES …), or ONNX's own where the protocol has none. */
export const protocolDatatype = (data_type: number): string => by_id.get(data_type)?.protocol ?? dataTypeName(data_type)
