import { OnnxFault } from '../fault.ts'
import type { FileWindow } from './file-window.ts'
import { countNames, isRecord, nameSome, type Recognised } from './recognised.ts'

/** A JSON header of the length that the first 8 bytes say (https://huggingface.co/docs/safetensors). */
export const isSafetensors = (file: FileWindow): boolean => {
  const head = file.upTo(0, 9)
  return head.length === 9 && head[8] === 0x7b && head.readUInt32LE(4) === 0
}

const shapeOf = (value: unknown): number[] | undefined => {
  if (!Array.isArray(value)) return undefined
  const dims = value.filter((dim) => typeof dim === 'number' && Number.isSafeInteger(dim) && dim >= 0)
  return dims.length === value.length ? dims : undefined
}

/** @throws OnnxFault truncated, not_a_model */
export const describeSafetensors = (file: FileWindow): Recognised => {
  const header_bytes = file.bytes(0, 4).readUInt32LE(0)
  const header = parse(file.bytes(8, header_bytes).toString('utf8'))
  const data_bytes = file.size_bytes - 8 - header_bytes
  let parameter_count = 0
  let parameter_bytes = 0
  const types: string[] = []
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue
    const shape = isRecord(value) ? shapeOf(value.shape) : undefined
    const offsets = isRecord(value) ? shapeOf(value.data_offsets) : undefined
    if (!isRecord(value) || !shape || offsets?.length !== 2)
      throw new OnnxFault('not_a_model', `The safetensors entry ${JSON.stringify(name.slice(0, 200))} has no shape or place`)
    const [from = 0, to = 0] = offsets
    if (to < from)
      throw new OnnxFault('not_a_model', `The safetensors entry ${JSON.stringify(name.slice(0, 200))} ends before it begins`)
    if (to > data_bytes)
      throw new OnnxFault(
        'truncated',
        `The file ends at byte ${file.size_bytes}, but tensor ${JSON.stringify(name.slice(0, 200))} needs ${to - data_bytes} more`,
      )
    parameter_count += shape.reduce((product, dim) => product * dim, 1)
    parameter_bytes += to - from
    types.push(String(value.dtype))
  }
  const kinds = Object.entries(countNames(types)).map(([type, count]) => `${count} × ${type}`)
  const notes = [
    `${types.length} tensors (${nameSome(kinds)}): ${nameSome(Object.keys(header).filter((name) => name !== '__metadata__'))}`,
  ]
  return {
    format: 'safetensors',
    framework: null,
    details: { parameter_count: Number.isSafeInteger(parameter_count) ? parameter_count : 0, parameter_bytes, notes },
  }
}

const parse = (text: string): Record<string, unknown> => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new OnnxFault('not_a_model', 'The safetensors header is no JSON', cause)
  }
  if (!isRecord(value)) throw new OnnxFault('not_a_model', 'The safetensors header is no JSON object')
  return value
}
