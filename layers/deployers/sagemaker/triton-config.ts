import { PlatformError } from '../../core/contract/errors.ts'
import type { Inspection, TensorSpec } from '../../core/domain/model.ts'

/** The model's name within the container: a deployment's own name may hold any character. */
export const TRITON_MODEL = 'model'
const BATCH = 32

/** Open Inference Protocol datatypes in Triton's words. */
const types: Record<string, string> = {
  BOOL: 'TYPE_BOOL',
  UINT8: 'TYPE_UINT8',
  UINT16: 'TYPE_UINT16',
  UINT32: 'TYPE_UINT32',
  UINT64: 'TYPE_UINT64',
  INT8: 'TYPE_INT8',
  INT16: 'TYPE_INT16',
  INT32: 'TYPE_INT32',
  INT64: 'TYPE_INT64',
  FP16: 'TYPE_FP16',
  BF16: 'TYPE_BF16',
  FP32: 'TYPE_FP32',
  FP64: 'TYPE_FP64',
  BYTES: 'TYPE_STRING',
}

/**
 * Triton's `config.pbtxt` (protobuf text format of its ModelConfig) for an ONNX model: tensors with their dimensions, free ones as -1,
 * and dynamic batching where the first dimension of every tensor is a free one. Without an inspection the server reads the file itself.
 * Fails with `framework_unsupported` for inputs that are no tensors.
 */
export const tritonConfig = (inspection: Inspection | null, { threads, gpu }: { threads: number; gpu: boolean }): string => {
  const { inputs, outputs, batchable = false } = inspection ?? {}
  const known = inputs !== undefined && outputs !== undefined
  const batched = known && batchable
  const tensors = known
    ? [...inputs.map((spec) => tensor('input', spec, batched)), ...outputs.map((spec) => tensor('output', spec, batched))]
    : []
  return [
    `name: ${quoted(TRITON_MODEL)}`,
    'platform: "onnxruntime_onnx"',
    `max_batch_size: ${batched ? BATCH : 0}`,
    ...tensors,
    ...(batched ? ['dynamic_batching { }'] : []),
    `instance_group [ { count: 1 kind: ${gpu ? 'KIND_GPU' : 'KIND_CPU'} } ]`,
    `parameters { key: "intra_op_thread_count" value: { string_value: "${threads}" } }`,
    '',
  ].join('\n')
}

const tensor = (kind: 'input' | 'output', { name, datatype, shape }: TensorSpec, batched: boolean): string => {
  const type = types[datatype]
  if (type === undefined)
    throw new PlatformError('framework_unsupported', `${kind} ${name} is ${datatype}, which the Triton image does not take`)
  const dims = shape.slice(batched ? 1 : 0).map((size) => (typeof size === 'number' ? size : -1))
  // A model's scalar has no dimensions, Triton's has one.
  const shaped = dims.length > 0 ? `dims: [ ${dims.join(', ')} ]` : 'dims: [ 1 ] reshape { shape: [ ] }'
  return `${kind} [ { name: ${quoted(name)} data_type: ${type} ${shaped} } ]`
}

/** A protobuf text string: printable ASCII as it is, all else as octal bytes. */
const quoted = (text: string): string => {
  const bytes = [...Buffer.from(text, 'utf8')]
  const shown = bytes.map((byte) => {
    if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`
    return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`
  })
  return `"${shown.join('')}"`
}
