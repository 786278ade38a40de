/**
 * `onnx.proto` (IR 13, onnx 1.23) as a table: field name → number and kind. The reader, the writer and the TypeScript types all
 * come from it. Fields that are not listed are kept as bytes and written back.
 */
import {
  bigint,
  bytes,
  byteses,
  float,
  int32,
  int64,
  type Kinds,
  message,
  messages,
  type ScalarKind,
  scalar,
  string,
  strings,
  weights,
} from './fields.ts'

export const schema = {
  ModelProto: {
    ir_version: int64(1),
    opset_import: messages(8, 'OperatorSetIdProto'),
    producer_name: string(2),
    producer_version: string(3),
    domain: string(4),
    model_version: bigint(5),
    doc_string: string(6),
    graph: message(7, 'GraphProto'),
    metadata_props: messages(14, 'StringStringEntryProto'),
    training_info: messages(20, 'TrainingInfoProto'),
    functions: messages(25, 'FunctionProto'),
  },
  OperatorSetIdProto: { domain: string(1), version: int64(2) },
  StringStringEntryProto: { key: string(1), value: string(2) },
  TrainingInfoProto: {
    initialization: message(1, 'GraphProto'),
    algorithm: message(2, 'GraphProto'),
    initialization_binding: messages(3, 'StringStringEntryProto'),
    update_binding: messages(4, 'StringStringEntryProto'),
  },
  FunctionProto: {
    name: string(1),
    input: strings(4),
    output: strings(5),
    attribute: strings(6),
    attribute_proto: messages(11, 'AttributeProto'),
    node: messages(7, 'NodeProto'),
    doc_string: string(8),
    opset_import: messages(9, 'OperatorSetIdProto'),
    domain: string(10),
    overload: string(13),
    value_info: messages(12, 'ValueInfoProto'),
    metadata_props: messages(14, 'StringStringEntryProto'),
  },
  GraphProto: {
    node: messages(1, 'NodeProto'),
    name: string(2),
    initializer: messages(5, 'TensorProto'),
    sparse_initializer: messages(15, 'SparseTensorProto'),
    doc_string: string(10),
    input: messages(11, 'ValueInfoProto'),
    output: messages(12, 'ValueInfoProto'),
    value_info: messages(13, 'ValueInfoProto'),
    quantization_annotation: messages(14, 'TensorAnnotation'),
    metadata_props: messages(16, 'StringStringEntryProto'),
  },
  NodeProto: {
    input: strings(1),
    output: strings(2),
    name: string(3),
    op_type: string(4),
    domain: string(7),
    overload: string(8),
    attribute: messages(5, 'AttributeProto'),
    doc_string: string(6),
    metadata_props: messages(9, 'StringStringEntryProto'),
  },
  AttributeProto: {
    name: string(1),
    ref_attr_name: string(21),
    doc_string: string(13),
    type: int32(20),
    f: float(2),
    i: bigint(3),
    s: bytes(4),
    t: message(5, 'TensorProto'),
    g: message(6, 'GraphProto'),
    sparse_tensor: message(22, 'SparseTensorProto'),
    tp: message(14, 'TypeProto'),
    floats: scalar('float32_array')(7),
    ints: scalar('int64_array')(8),
    strings: byteses(9),
    tensors: messages(10, 'TensorProto'),
    graphs: messages(11, 'GraphProto'),
    sparse_tensors: messages(23, 'SparseTensorProto'),
    type_protos: messages(15, 'TypeProto'),
  },
  TensorProto: {
    dims: scalar('int64s')(1),
    data_type: int32(2),
    segment: message(3, 'Segment'),
    float_data: scalar('float32_array')(4, weights),
    int32_data: scalar('int32_array')(5, weights),
    string_data: byteses(6),
    int64_data: scalar('int64_array')(7, weights),
    name: string(8),
    doc_string: string(12),
    raw_data: bytes(9, { lazy: true }),
    external_data: messages(13, 'StringStringEntryProto'),
    data_location: int32(14),
    double_data: scalar('float64_array')(10, weights),
    uint64_data: scalar('uint64_array')(11, weights),
    metadata_props: messages(16, 'StringStringEntryProto'),
  },
  Segment: { begin: int64(1), end: int64(2) },
  SparseTensorProto: { values: message(1, 'TensorProto'), indices: message(2, 'TensorProto'), dims: scalar('int64s')(3) },
  TensorAnnotation: { tensor_name: string(1), quant_parameter_tensor_names: messages(2, 'StringStringEntryProto') },
  ValueInfoProto: {
    name: string(1),
    type: message(2, 'TypeProto'),
    doc_string: string(3),
    metadata_props: messages(4, 'StringStringEntryProto'),
  },
  TypeProto: {
    tensor_type: message(1, 'TensorType', true),
    sequence_type: message(4, 'SequenceType', true),
    map_type: message(5, 'MapType', true),
    optional_type: message(9, 'OptionalType', true),
    sparse_tensor_type: message(8, 'TensorType', true),
    denotation: string(6),
  },
  TensorType: { elem_type: int32(1), shape: message(2, 'TensorShapeProto') },
  SequenceType: { elem_type: message(1, 'TypeProto') },
  MapType: { key_type: int32(1), value_type: message(2, 'TypeProto') },
  OptionalType: { elem_type: message(1, 'TypeProto') },
  TensorShapeProto: { dim: messages(1, 'Dimension') },
  Dimension: { dim_value: int64(1, { oneof: true }), dim_param: string(2, { oneof: true }), denotation: string(3) },
} as const

export type MessageName = keyof typeof schema

/** Bytes of a field that were left in the file they came from. */
export interface FileRange {
  path: string
  offset: number
  size_bytes: number
}

/** What every message may carry beyond its listed fields. */
interface Extras {
  /** Fields this table does not list, tag included, in file order. */
  unknown_fields?: Uint8Array[]
  /** Field name → bytes that stayed in the file (`readModelFile` only); the field itself is then absent. */
  ranges?: Record<string, FileRange>
}

type Value<F> = F extends { kind: 'messages'; message: infer M extends keyof Messages }
  ? Messages[M][]
  : F extends { kind: 'message'; message: infer M extends keyof Messages }
    ? Messages[M]
    : F extends { kind: infer K extends ScalarKind }
      ? Kinds[K]
      : never
type ListKind = 'messages' | 'strings' | 'byteses' | 'int64s'
type Lists<S> = { [F in keyof S as S[F] extends { kind: ListKind } ? F : never]: Value<S[F]> }
type Singles<S> = { -readonly [F in keyof S as S[F] extends { kind: ListKind } ? never : F]?: Value<S[F]> | undefined }
/** Lists are always there (maybe empty); everything else is absent or set. */
type Proto<M extends MessageName> = { -readonly [F in keyof Lists<(typeof schema)[M]>]: Lists<(typeof schema)[M]>[F] } & Singles<
  (typeof schema)[M]
> &
  Extras

export interface ModelProto extends Proto<'ModelProto'> {}
export interface GraphProto extends Proto<'GraphProto'> {}
export interface NodeProto extends Proto<'NodeProto'> {}
export interface AttributeProto extends Proto<'AttributeProto'> {}
export interface TensorProto extends Proto<'TensorProto'> {}
export interface SparseTensorProto extends Proto<'SparseTensorProto'> {}
export interface ValueInfoProto extends Proto<'ValueInfoProto'> {}
export interface TypeProto extends Proto<'TypeProto'> {}
export interface TensorType extends Proto<'TensorType'> {}
export interface TensorShapeProto extends Proto<'TensorShapeProto'> {}
export interface Dimension extends Proto<'Dimension'> {}
export interface FunctionProto extends Proto<'FunctionProto'> {}
export interface OperatorSetIdProto extends Proto<'OperatorSetIdProto'> {}
export interface StringStringEntryProto extends Proto<'StringStringEntryProto'> {}

export interface Messages {
  ModelProto: ModelProto
  GraphProto: GraphProto
  NodeProto: NodeProto
  AttributeProto: AttributeProto
  TensorProto: TensorProto
  SparseTensorProto: SparseTensorProto
  ValueInfoProto: ValueInfoProto
  TypeProto: TypeProto
  TensorType: TensorType
  TensorShapeProto: TensorShapeProto
  Dimension: Dimension
  FunctionProto: FunctionProto
  OperatorSetIdProto: OperatorSetIdProto
  StringStringEntryProto: StringStringEntryProto
  TrainingInfoProto: Proto<'TrainingInfoProto'>
  Segment: Proto<'Segment'>
  TensorAnnotation: Proto<'TensorAnnotation'>
  SequenceType: Proto<'SequenceType'>
  MapType: Proto<'MapType'>
  OptionalType: Proto<'OptionalType'>
}
