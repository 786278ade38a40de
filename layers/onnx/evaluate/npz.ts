import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { isIdx, readIdx } from './idx.ts'
import { ArrayFault, readNpy } from './npy.ts'
import type { TensorValue } from './tensors.ts'
import { MAX_UNPACKED_BYTES, unpackMember, zipMembers } from './zip-members.ts'

/** An array as read; `idx` ones are published images whose shape and range are fitted to the input they feed. */
export type NamedArray = TensorValue & { idx?: true }
export type NamedArrays = Record<string, NamedArray>

const isNpy = (bytes: Uint8Array): boolean => bytes[0] === 0x93
const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b
const isZip = (bytes: Uint8Array): boolean => bytes[0] === 0x50 && bytes[1] === 0x4b

/** The bytes of a file up to a limit, unpacked where it is one gzip stream; `cut`: there are more. Fails with ArrayFault. */
export function readHead(path: string, most_bytes: number = MAX_UNPACKED_BYTES): { bytes: Buffer; cut: boolean } {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const bytes = Buffer.alloc(Math.min(size, most_bytes))
    let got = 0
    for (let read = -1; got < bytes.length && read !== 0; got += read) read = readSync(file, bytes, got, bytes.length - got, got)
    const head = bytes.subarray(0, got)
    if (size > most_bytes && (isGzip(head) || isZip(head)))
      throw new ArrayFault(`The file is of ${size} bytes; wanted at most ${most_bytes} where it is packed: fewer rows`)
    return { bytes: gunzipped(head, 'The file', most_bytes), cut: size > most_bytes }
  } finally {
    closeSync(file)
  }
}

/** All bytes of a file, at most a gigabyte, unpacked where it is one gzip stream. Fails with ArrayFault. */
export function readPlain(path: string): Buffer {
  const { bytes, cut } = readHead(path)
  if (cut) throw new ArrayFault(`The file is of more than ${MAX_UNPACKED_BYTES} bytes; wanted fewer rows, or types of fewer bits`)
  return bytes
}

function gunzipped(bytes: Buffer, name: string, limit: number): Buffer {
  if (!isGzip(bytes)) return bytes
  try {
    return gunzipSync(bytes, { maxOutputLength: Math.max(1, limit) })
  } catch (error) {
    throw new ArrayFault(`${name} cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function readArray(bytes: Buffer, name: string, cut = false): NamedArray {
  if (isIdx(bytes)) return { ...readIdx(bytes, name, cut), idx: true }
  return readNpy(bytes, name, cut)
}

/**
 * Of a member `x.npy`, `data/images.idx.gz` or `t10k-labels-idx1-ubyte`: `x`, `images`, `labels`. Names that NumPy wrote are the
 * caller's own, slashes included.
 */
const arrayName = (member: string): string => {
  if (member.endsWith('.npy')) return member.slice(0, -'.npy'.length)
  const bare = member
    .replace(/^.*\//, '')
    .replace(/\.gz$/i, '')
    .replace(/[-.](npy|idx|idx\d-ubyte)$/i, '')
  return /[-_.]labels$/.test(bare) ? 'labels' : bare
}

/**
 * The arrays of a zip (stored or deflated; .npz) of .npy and .idx members by name, or of one .npy or idx file under the name '';
 * gzipped ones too. What a file is, its content says. Fails with ArrayFault.
 */
export const readArrays = (path: string): NamedArrays => arraysOf(readPlain(path))

/** The same of a file's bytes; of the beginning of a single array's file (`cut`), the rows that are whole. */
export function arraysOf(file: Buffer, cut = false): NamedArrays {
  if (isNpy(file) || isIdx(file)) return { '': readArray(file, 'The array', cut) }
  if (!isZip(file)) throw new ArrayFault('The file is neither .npy, .npz, JSON lines, idx nor a zip of them')
  const arrays = new Map<string, NamedArray>()
  let left = MAX_UNPACKED_BYTES
  for (const member of zipMembers(file)) {
    if (member.name.endsWith('/')) continue
    const bytes = gunzipped(unpackMember(file, member, left), member.name, left)
    left -= bytes.length
    arrays.set(arrayName(member.name), readArray(bytes, member.name))
  }
  if (arrays.size === 0) throw new ArrayFault('The zip holds no array')
  return Object.fromEntries(arrays)
}
