/**
 * The tensor datatypes of the Open Inference Protocol v2 (`specification/protocol/inference_rest.md`, "Tensor Data Types"),
 * each with its onnxruntime type and how its little-endian bytes are viewed.
 */

type Bytes = { buffer: ArrayBufferLike; byteOffset: number; byteLength: number }
type View =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array

interface NumericType {
  bytes: number
  kind: 'float' | 'integer' | 'bigint' | 'bool' | 'half'
  /** Inclusive, for integers. */
  min: number
  max: number
  view(bytes: Bytes): View
}

const whole = (bits: number, signed: boolean) => ({
  min: signed ? -(2 ** (bits - 1)) : 0,
  max: 2 ** (signed ? bits - 1 : bits) - 1,
})
const real = { min: -Infinity, max: Infinity }

export const numericTypes = {
  BOOL: { bytes: 1, kind: 'bool', min: 0, max: 1, view: (b) => new Uint8Array(b.buffer, b.byteOffset, b.byteLength) },
  UINT8: { bytes: 1, kind: 'integer', ...whole(8, false), view: (b) => new Uint8Array(b.buffer, b.byteOffset, b.byteLength) },
  UINT16: {
    bytes: 2,
    kind: 'integer',
    ...whole(16, false),
    view: (b) => new Uint16Array(b.buffer, b.byteOffset, b.byteLength / 2),
  },
  UINT32: {
    bytes: 4,
    kind: 'integer',
    ...whole(32, false),
    view: (b) => new Uint32Array(b.buffer, b.byteOffset, b.byteLength / 4),
  },
  UINT64: {
    bytes: 8,
    kind: 'bigint',
    ...whole(64, false),
    view: (b) => new BigUint64Array(b.buffer, b.byteOffset, b.byteLength / 8),
  },
  INT8: { bytes: 1, kind: 'integer', ...whole(8, true), view: (b) => new Int8Array(b.buffer, b.byteOffset, b.byteLength) },
  INT16: { bytes: 2, kind: 'integer', ...whole(16, true), view: (b) => new Int16Array(b.buffer, b.byteOffset, b.byteLength / 2) },
  INT32: { bytes: 4, kind: 'integer', ...whole(32, true), view: (b) => new Int32Array(b.buffer, b.byteOffset, b.byteLength / 4) },
  INT64: {
    bytes: 8,
    kind: 'bigint',
    ...whole(64, true),
    view: (b) => new BigInt64Array(b.buffer, b.byteOffset, b.byteLength / 8),
  },
  FP16: { bytes: 2, kind: 'half', ...real, view: (b) => new Uint16Array(b.buffer, b.byteOffset, b.byteLength / 2) },
  FP32: { bytes: 4, kind: 'float', ...real, view: (b) => new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4) },
  FP64: { bytes: 8, kind: 'float', ...real, view: (b) => new Float64Array(b.buffer, b.byteOffset, b.byteLength / 8) },
} as const satisfies Record<string, NumericType>

export type NumericDatatype = keyof typeof numericTypes
export type Datatype = NumericDatatype | 'BYTES'

const ortNames = {
  bool: 'BOOL',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  string: 'BYTES',
} as const satisfies Record<string, Datatype>
export type OrtType = keyof typeof ortNames

const isOrtType = (name: string): name is OrtType => Object.hasOwn(ortNames, name)
/** The protocol's name of an onnxruntime type, or undefined where the protocol has none (int4, bfloat16 …). */
export const datatypeOf = (ort_type: string): Datatype | undefined => (isOrtType(ort_type) ? ortNames[ort_type] : undefined)

const byDatatype = new Map<Datatype, OrtType>()
for (const name of Object.keys(ortNames)) if (isOrtType(name)) byDatatype.set(ortNames[name], name)
export const ortTypeOf = (datatype: Datatype): OrtType => byDatatype.get(datatype) ?? 'float32'

export const isDatatype = (name: unknown): name is Datatype =>
  typeof name === 'string' && (name === 'BYTES' || Object.hasOwn(numericTypes, name))
export const datatypeNames: readonly string[] = [...Object.keys(numericTypes), 'BYTES']

/** A tensor on its way: numbers as their little-endian bytes in row-major order, BYTES as strings. */
export interface WireTensor {
  name: string
  datatype: Datatype
  shape: number[]
  data: Uint8Array | string[]
}

/** One input or output of the model as the protocol shows it: -1 is a dimension the caller chooses. */
export interface TensorFacts {
  name: string
  datatype: Datatype
  shape: number[]
}

export const elementCount = (shape: readonly number[]): number => shape.reduce((product, dimension) => product * dimension, 1)
