import { constants, gunzipSync, inflateRawSync } from 'node:zlib'
import type { DatasetArray } from '../core/domain/dataset.ts'
import { OnnxFault } from '../onnx/fault.ts'
import type { FileWindow } from '../onnx/formats/file-window.ts'
import type { ZipEntry } from '../onnx/formats/zip.ts'

/** The headers of arrays in files of rows. Nothing but headers is read; every fault is an `OnnxFault` that names the file or member. */

/** Of a packed member: deflate makes at most 1,032 times as many, and an archive may have many members. */
const HEAD_BYTES = 16 * 1024
const MAX_HEAD_BYTES = 96 * 2 ** 20
const fault = (detail: string, cause?: unknown): OnnxFault => new OnnxFault('not_a_model', detail, cause)

/** The header of a NumPy array, `total_bytes` long with its data (undefined where it is compressed). Source: numpy.lib.format, versions 1–3. */
export const npyHeader = (head: Buffer, name: string, total_bytes: number | undefined): DatasetArray => {
  const what = name === '' ? 'The array' : `Array ${name}`
  if (head.length < 12 || head[0] !== 0x93 || head.toString('latin1', 1, 6) !== 'NUMPY')
    throw fault(`${what} is no .npy array: it does not begin with \\x93NUMPY`)
  const wide = (head[6] ?? 0) >= 2
  const start = wide ? 12 : 10
  const end = start + (wide ? head.readUInt32LE(8) : head.readUInt16LE(8))
  if (end > head.length || end > (total_bytes ?? end))
    throw fault(`${what} ends inside its header: got ${Math.min(head.length, total_bytes ?? head.length)} bytes, wanted ${end}`)
  const text = head.toString('latin1', start, end)
  const type = /'descr'\s*:\s*'([<>|=]?)([A-Za-z])(\d+)'/.exec(text)
  const shape = /'shape'\s*:\s*\(([\d,\s]*)\)/.exec(text)?.[1]
  if (!type || shape === undefined)
    throw fault(`${what} holds no numbers, truths or texts: header ${text.trim().slice(0, 120)}; Python objects are never read`)
  if (type[1] === '>') throw fault(`${what} is big-endian; wanted little-endian (array.astype('<${type[2]}${type[3]}'))`)
  if (/'fortran_order'\s*:\s*True/.test(text))
    throw fault(`${what} is in Fortran order; wanted C order (numpy.ascontiguousarray)`)
  const dims = shape.split(',').flatMap((size) => (size.trim() === '' ? [] : [Number(size)]))
  const [, order = '', kind = '', width = ''] = type
  const data_bytes = dims.reduce((product, size) => product * size, Number(width) * (kind === 'U' ? 4 : 1))
  if (!Number.isSafeInteger(data_bytes) || (total_bytes !== undefined && total_bytes - end !== data_bytes))
    throw fault(
      `${what} holds ${(total_bytes ?? end) - end} bytes of data; wanted ${data_bytes} for ${kind}${width} of shape [${dims}]`,
    )
  return { name, datatype: `${order}${kind}${width}`, shape: dims }
}

const idxTypes = new Map([
  [0x08, ['u8', 1]],
  [0x09, ['i8', 1]],
  [0x0b, ['i16', 2]],
  [0x0c, ['i32', 4]],
  [0x0d, ['f32', 4]],
  [0x0e, ['f64', 8]],
] as const)

/** Whether bytes begin as an idx file: two zeros, a known type, 1–8 axes. */
export const isIdx = (head: Buffer): boolean =>
  head.length >= 8 && head[0] === 0 && head[1] === 0 && idxTypes.has((head[2] ?? 0) as 8) && head[3] !== 0 && (head[3] ?? 0) <= 8

/** The header of an idx file (MNIST's format); `total_bytes` undefined where it is compressed. Source: yann.lecun.com/exdb/mnist. */
export const idxHeader = (head: Buffer, name: string, total_bytes: number | undefined): DatasetArray => {
  const what = name === '' ? 'The idx file' : `The idx file ${name}`
  const type = isIdx(head) ? idxTypes.get((head[2] ?? 0) as 8) : undefined
  const rank = head[3] ?? 0
  if (!type || head.length < 4 + 4 * rank) throw fault(`${what} does not begin as one: got bytes ${head.toString('hex', 0, 8)}`)
  const [datatype, width] = type
  const shape = Array.from({ length: rank }, (_, axis) => head.readUInt32BE(4 + 4 * axis))
  const wanted = shape.reduce((product, size) => product * size, width) + 4 + 4 * rank
  if (total_bytes !== undefined && total_bytes !== wanted)
    throw fault(`${what} has ${total_bytes} bytes; wanted ${wanted} for ${datatype} of shape [${shape}]`)
  return { name, datatype, shape }
}

export const isGzip = (head: Buffer): boolean => head[0] === 0x1f && head[1] === 0x8b

/** The beginning of what gzip packed, as far as these packed bytes tell. */
export const gunzippedHead = (head: Buffer, name: string): Buffer => {
  try {
    return gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MAX_HEAD_BYTES })
  } catch (cause) {
    throw fault(`${name || 'The file'} cannot be unpacked by gzip`, cause)
  }
}

/** The beginning of a member of a zip archive. */
export const memberHead = (file: FileWindow, entry: ZipEntry): Buffer => {
  const header = file.bytes(entry.header_offset, 30)
  if (header.readUInt32LE(0) !== 0x04034b50) throw fault(`${entry.name} is not where the zip directory says`)
  const start = entry.header_offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28)
  const available = Math.min(entry.packed_bytes, HEAD_BYTES)
  const packed = file.upTo(start, available)
  if (packed.length < available || start + entry.packed_bytes > file.size_bytes)
    throw fault(`${entry.name} ends early: the archive has ${file.size_bytes} bytes, wanted ${start + entry.packed_bytes}`)
  if (entry.method === 0) return packed
  if (entry.method !== 8) throw fault(`${entry.name} is packed by zip method ${entry.method}; wanted stored (0) or deflate (8)`)
  try {
    return inflateRawSync(packed, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MAX_HEAD_BYTES })
  } catch (cause) {
    throw fault(`${entry.name} cannot be unpacked`, cause)
  }
}
