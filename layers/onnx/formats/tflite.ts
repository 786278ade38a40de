import { OnnxFault } from '../fault.ts'
import type { TensorSpec } from '../inspect/inspection.ts'
import type { FileWindow } from './file-window.ts'
import type { Recognised } from './recognised.ts'

export const isTflite = (file: FileWindow): boolean => file.upTo(4, 4).toString('latin1') === 'TFL3'

/** `TensorType` of the TFLite schema → Open Inference Protocol datatype. */
const datatypes = [
  'FP32',
  'FP16',
  'INT32',
  'UINT8',
  'INT64',
  'BYTES',
  'BOOL',
  'INT16',
  'COMPLEX64',
  'INT8',
  'FP64',
  'COMPLEX128',
  'UINT64',
]
const MAX_TENSORS = 100_000

const u32 = (file: FileWindow, at: number): number => file.bytes(at, 4).readUInt32LE(0)

/** Place of a table's field, or undefined when the table leaves it out (FlatBuffers: table → vtable → offset). */
const fieldAt = (file: FileWindow, table: number, field: number): number | undefined => {
  const vtable = table - file.bytes(table, 4).readInt32LE(0)
  const slot = 4 + field * 2
  if (slot + 2 > file.bytes(vtable, 2).readUInt16LE(0)) return undefined
  const offset = file.bytes(vtable + slot, 2).readUInt16LE(0)
  return offset === 0 ? undefined : table + offset
}

/** Place of the first element and number of elements of a vector field. */
const vectorOf = (file: FileWindow, table: number, field: number): { at: number; count: number } => {
  const place = fieldAt(file, table, field)
  if (place === undefined) return { at: 0, count: 0 }
  const vector = place + u32(file, place)
  const count = u32(file, vector)
  if (count > MAX_TENSORS) throw new OnnxFault('not_a_model', `The TFLite file announces a list of ${count} at byte ${vector}`)
  return { at: vector + 4, count }
}

const tablesOf = (file: FileWindow, table: number, field: number): number[] => {
  const { at, count } = vectorOf(file, table, field)
  return Array.from({ length: count }, (_, index) => at + index * 4 + u32(file, at + index * 4))
}

const integersOf = (file: FileWindow, table: number, field: number): number[] => {
  const { at, count } = vectorOf(file, table, field)
  return Array.from({ length: count }, (_, index) => file.bytes(at + index * 4, 4).readInt32LE(0))
}

const specOf = (file: FileWindow, tensor: number): TensorSpec => {
  const { at, count } = vectorOf(file, tensor, 3)
  const type = fieldAt(file, tensor, 1)
  const shape = integersOf(file, tensor, 0).map((dim) => (dim < 0 ? null : dim))
  return {
    name: file.bytes(at, count).toString('utf8'),
    datatype: datatypes[type === undefined ? 0 : file.bytes(type, 1)[0]!] ?? 'unknown',
    shape,
  }
}

/** A TFLite model: inputs and outputs of its first sub-graph, number of tensors and operators. @throws OnnxFault truncated, not_a_model */
export const describeTflite = (file: FileWindow): Recognised => {
  const root = u32(file, 0)
  const graphs = tablesOf(file, root, 2)
  const [main] = graphs
  if (main === undefined) throw new OnnxFault('not_a_model', 'The TFLite file holds no sub-graph')
  const tensors = tablesOf(file, main, 0)
  const specs = (field: number): TensorSpec[] =>
    integersOf(file, main, field).map((index) => {
      const tensor = tensors[index]
      if (tensor === undefined)
        throw new OnnxFault('not_a_model', `The TFLite file refers to tensor ${index} of ${tensors.length}`)
      return specOf(file, tensor)
    })
  const operators = vectorOf(file, main, 3).count
  const notes = [`${tensors.length} tensors, ${operators} operators, ${graphs.length} sub-graphs`]
  return { format: 'tflite', framework: 'tensorflow', details: { inputs: specs(1), outputs: specs(2), notes } }
}
