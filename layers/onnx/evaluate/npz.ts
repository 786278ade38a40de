import { readFileSync } from 'node:fs'
import { inflateRawSync } from 'node:zlib'
import { ArrayFault, readNpy } from './npy.ts'
import type { TensorValue } from './tensors.ts'

export type NamedArrays = Record<string, TensorValue & { bytes: Uint8Array }>

const END_RECORD = 0x06054b50
const DIRECTORY_RECORD = 0x02014b50
const LOCAL_RECORD = 0x04034b50
const MAX_ENTRIES = 1024
/** All arrays of a file together, unpacked: more is no calibration set, or a bomb. */
const MAX_UNPACKED_BYTES = 2 ** 30

/** The arrays of an .npz (stored or deflated zip of .npy) by name, or of one .npy under the name ''. Fails with ArrayFault. */
export function readArrays(path: string): NamedArrays {
  const file = readFileSync(path)
  if (file[0] === 0x93) return { '': readNpy(file, 'The array') }
  const arrays = new Map<string, NamedArrays[string]>()
  let left = MAX_UNPACKED_BYTES
  for (const entry of directory(file)) {
    const bytes = unpack(file, entry, left)
    left -= bytes.length
    arrays.set(entry.name.replace(/\.npy$/, ''), readNpy(bytes, entry.name))
  }
  if (arrays.size === 0) throw new ArrayFault('The .npz holds no array')
  return Object.fromEntries(arrays)
}

interface Entry {
  name: string
  method: number
  packed_bytes: number
  unpacked_bytes: number
  offset: number
}

function directory(file: Buffer): Entry[] {
  const end = file.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]))
  if (end < 0 || end + 22 > file.length || file.readUInt32LE(end) !== END_RECORD)
    throw new ArrayFault('The file is neither .npy nor .npz: it has no zip directory')
  const count = file.readUInt16LE(end + 10)
  if (count > MAX_ENTRIES) throw new ArrayFault(`The .npz has ${count} entries; wanted at most ${MAX_ENTRIES}`)
  const entries: Entry[] = []
  let at = file.readUInt32LE(end + 16)
  for (let index = 0; index < count; index += 1) {
    if (at + 46 > file.length || file.readUInt32LE(at) !== DIRECTORY_RECORD)
      throw new ArrayFault(`The zip directory is broken at byte ${at}`)
    const name_bytes = file.readUInt16LE(at + 28)
    entries.push({
      name: file.toString('utf8', at + 46, at + 46 + name_bytes),
      method: file.readUInt16LE(at + 10),
      packed_bytes: file.readUInt32LE(at + 20),
      unpacked_bytes: file.readUInt32LE(at + 24),
      offset: file.readUInt32LE(at + 42),
    })
    at += 46 + name_bytes + file.readUInt16LE(at + 30) + file.readUInt16LE(at + 32)
  }
  return entries
}

/** NumPy writes zip64 fields into local headers, but the directory's 32-bit sizes hold below 4 GB, beyond which we refuse anyway. */
function unpack(file: Buffer, entry: Entry, limit: number): Uint8Array {
  if (entry.unpacked_bytes > limit)
    throw new ArrayFault(`The .npz unpacks to more than ${MAX_UNPACKED_BYTES} bytes; wanted fewer calibration rows`)
  const { offset } = entry
  if (offset + 30 > file.length || file.readUInt32LE(offset) !== LOCAL_RECORD)
    throw new ArrayFault(`${entry.name} is not where the zip directory says (byte ${offset})`)
  const start = offset + 30 + file.readUInt16LE(offset + 26) + file.readUInt16LE(offset + 28)
  const packed = file.subarray(start, start + entry.packed_bytes)
  if (packed.length < entry.packed_bytes)
    throw new ArrayFault(`${entry.name} ends early: got ${packed.length} bytes, wanted ${entry.packed_bytes}`)
  if (entry.method === 0) return packed
  if (entry.method !== 8)
    throw new ArrayFault(`${entry.name} is packed by zip method ${entry.method}; wanted stored (0) or deflate (8)`)
  try {
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, entry.unpacked_bytes) })
  } catch (error) {
    throw new ArrayFault(`${entry.name} cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`)
  }
}
