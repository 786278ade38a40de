import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { OnnxFault } from '../fault.ts'

/** Random access to a file without loading it. */
export interface FileWindow {
  size_bytes: number
  /** Exactly `length` bytes. @throws OnnxFault truncated when the file has fewer */
  bytes(offset: number, length: number): Buffer
  /** The same, but as many as there are. */
  upTo(offset: number, length: number): Buffer
}

const PAGE_BYTES = 64 * 1024
/** One answer holds at most this much; headers and directories of real models are far smaller. */
const MAX_READ_BYTES = 64 * 2 ** 20

/** Opens the file, lets `use` look at it, closes it. */
export const withFileWindow = <T>(path: string, use: (file: FileWindow) => T): T => {
  const fd = openSync(path, 'r')
  try {
    return use(fileWindow(fd, fstatSync(fd).size))
  } finally {
    closeSync(fd)
  }
}

const fileWindow = (fd: number, size_bytes: number): FileWindow => {
  let page: Buffer = Buffer.alloc(0)
  let base = 0
  const load = (offset: number, length: number): Buffer => {
    const buffer = Buffer.alloc(Math.max(0, Math.min(length, size_bytes - offset)))
    let done = 0
    while (done < buffer.length) {
      const read = readSync(fd, buffer, done, buffer.length - done, offset + done)
      if (read === 0) break
      done += read
    }
    return buffer.subarray(0, done)
  }
  const upTo = (offset: number, length: number): Buffer => {
    if (offset < 0 || length < 0) throw new OnnxFault('not_a_model', `The file refers to byte ${offset}, which does not exist`)
    if (length > MAX_READ_BYTES)
      throw new OnnxFault('unsupported', `A header of ${length} bytes at byte ${offset} is larger than ${MAX_READ_BYTES}`)
    if (length > PAGE_BYTES) return load(offset, length)
    if (offset < base || offset + length > base + page.length) {
      page = load(offset, PAGE_BYTES)
      base = offset
    }
    return page.subarray(offset - base, offset - base + length)
  }
  const bytes = (offset: number, length: number): Buffer => {
    const found = upTo(offset, length)
    if (found.length < length)
      throw new OnnxFault('truncated', `The file ends at byte ${size_bytes}, but ${length} bytes are needed at byte ${offset}`)
    return found
  }
  return { size_bytes, bytes, upTo }
}
