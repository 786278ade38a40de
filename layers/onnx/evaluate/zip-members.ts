import { inflateRawSync } from 'node:zlib'
import { ArrayFault } from './npy.ts'

const END_RECORD = 0x06054b50
const DIRECTORY_RECORD = 0x02014b50
const LOCAL_RECORD = 0x04034b50
const MAX_ENTRIES = 1024
/** All arrays of a file together, unpacked: more is no calibration set, or a bomb. */
export const MAX_UNPACKED_BYTES = 2 ** 30

export interface ZipMember {
  name: string
  method: number
  packed_bytes: number
  unpacked_bytes: number
  offset: number
}

/** What a zip of arrays lists. Fails with ArrayFault when it is none, is broken or lists too much. */
export function zipMembers(file: Buffer): ZipMember[] {
  const end = file.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]))
  if (end < 0 || end + 22 > file.length || file.readUInt32LE(end) !== END_RECORD)
    throw new ArrayFault('The zip has no directory: it is cut off, or no zip')
  const count = file.readUInt16LE(end + 10)
  if (count > MAX_ENTRIES) throw new ArrayFault(`The zip has ${count} entries; wanted at most ${MAX_ENTRIES}`)
  const members: ZipMember[] = []
  let at = file.readUInt32LE(end + 16)
  for (let index = 0; index < count; index += 1) {
    if (at + 46 > file.length || file.readUInt32LE(at) !== DIRECTORY_RECORD)
      throw new ArrayFault(`The zip directory is broken at byte ${at}`)
    const name_bytes = file.readUInt16LE(at + 28)
    members.push({
      name: file.toString('utf8', at + 46, at + 46 + name_bytes),
      method: file.readUInt16LE(at + 10),
      packed_bytes: file.readUInt32LE(at + 20),
      unpacked_bytes: file.readUInt32LE(at + 24),
      offset: file.readUInt32LE(at + 42),
    })
    at += 46 + name_bytes + file.readUInt16LE(at + 30) + file.readUInt16LE(at + 32)
  }
  return members
}

/**
 * One member's bytes, at most `limit`. NumPy writes zip64 fields into local headers, but the directory's 32-bit sizes hold below
 * 4 GB, beyond which we refuse anyway.
 */
export function unpackMember(file: Buffer, member: ZipMember, limit: number): Buffer {
  if (member.unpacked_bytes > limit)
    throw new ArrayFault(`The zip unpacks to more than ${MAX_UNPACKED_BYTES} bytes; wanted fewer rows`)
  const { offset } = member
  if (offset + 30 > file.length || file.readUInt32LE(offset) !== LOCAL_RECORD)
    throw new ArrayFault(`${member.name} is not where the zip directory says (byte ${offset})`)
  const start = offset + 30 + file.readUInt16LE(offset + 26) + file.readUInt16LE(offset + 28)
  const packed = file.subarray(start, start + member.packed_bytes)
  if (packed.length < member.packed_bytes)
    throw new ArrayFault(`${member.name} ends early: got ${packed.length} bytes, wanted ${member.packed_bytes}`)
  if (member.method === 0) return packed
  if (member.method !== 8)
    throw new ArrayFault(`${member.name} is packed by zip method ${member.method}; wanted stored (0) or deflate (8)`)
  try {
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, member.unpacked_bytes) })
  } catch (error) {
    throw new ArrayFault(`${member.name} cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`)
  }
}
