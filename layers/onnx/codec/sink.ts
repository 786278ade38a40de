import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import type { FileRange } from './schema.ts'

/** Where the writer puts bytes: one buffer of the exact size, or a file through a small buffer. */
export interface Sink {
  tag(field: number, wire: number): void
  /** Low and high 32 bits, both unsigned. */
  varint(low: number, high: number): void
  bytes(bytes: Uint8Array): void
  /** Tag and length of what follows. */
  length(field: number, size_bytes: number): void
  text(field: number, text: string): void
  /** Bytes that are still in another file. */
  range(range: FileRange): void
}

const BUFFER_BYTES = 256 * 1024
/** Room that one tag with one number needs at most. */
const SMALL_BYTES = 20

/** One buffer for whoever copies next: a model has hundreds of ranges, and buffers of their own would wait for the collector. */
let spare: Uint8Array<ArrayBuffer> | undefined

/** Copies a range of a file piece by piece, so that memory stays constant whatever its size. A piece is valid until `each` returns. */
export const eachPiece = (range: FileRange, each: (piece: Uint8Array) => void): void => {
  const fd = openSync(range.path, 'r')
  const buffer = spare ?? new Uint8Array(4 * BUFFER_BYTES)
  spare = undefined
  try {
    for (let done = 0; done < range.size_bytes; ) {
      const read = readSync(fd, buffer, 0, Math.min(buffer.length, range.size_bytes - done), range.offset + done)
      if (read === 0) throw new Error(`${range.path} ended at byte ${range.offset + done}; it was changed while being read`)
      each(buffer.subarray(0, read))
      done += read
    }
  } finally {
    spare = buffer
    closeSync(fd)
  }
}

export const writeAll = (fd: number, bytes: Uint8Array): void => {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, Math.min(bytes.length - done, 2 ** 30))
}

const openSink = (
  chunk: Uint8Array<ArrayBuffer>,
  flush: (filled: number) => void,
  large: (bytes: Uint8Array) => void,
): Sink & { finish(): void } => {
  const text_buffer = Buffer.from(chunk.buffer)
  let at = 0
  const room = (bytes: number): void => {
    if (at + bytes <= chunk.length) return
    flush(at)
    at = 0
  }
  const put = (low: number, high: number): void => {
    let rest_low = low
    let rest_high = high
    while (rest_high > 0 || rest_low > 0x7f) {
      chunk[at++] = (rest_low & 0x7f) | 0x80
      rest_low = ((rest_low >>> 7) | (rest_high << 25)) >>> 0
      rest_high >>>= 7
    }
    chunk[at++] = rest_low
  }
  const varint = (low: number, high: number): void => {
    room(10)
    put(low, high)
  }
  const tag = (field: number, wire: number): void => varint((field << 3) | wire, 0)
  const bytes = (piece: Uint8Array): void => {
    if (piece.length > chunk.length) {
      room(chunk.length + 1)
      large(piece)
    } else {
      room(piece.length)
      chunk.set(piece, at)
      at += piece.length
    }
  }
  const length = (field: number, size_bytes: number): void => {
    tag(field, 2)
    varint(size_bytes, 0)
  }
  const text = (field: number, value: string): void => {
    const size_bytes = Buffer.byteLength(value)
    length(field, size_bytes)
    if (size_bytes > chunk.length) bytes(Buffer.from(value))
    else {
      room(size_bytes)
      at += text_buffer.write(value, at)
    }
  }
  return { tag, varint, bytes, length, text, range: (range) => eachPiece(range, bytes), finish: () => flush(at) }
}

/** Everything into one buffer of `size_bytes`. */
export const memorySink = (size_bytes: number): Sink & { finish(): Uint8Array<ArrayBuffer> } => {
  // Every byte up to `filled` is written below, so the memory needs no zeroes first.
  const chunk = new Uint8Array(Buffer.allocUnsafeSlow(size_bytes + SMALL_BYTES).buffer)
  let filled = 0
  const sink = openSink(
    chunk,
    (at) => {
      filled = at
    },
    () => {
      throw new RangeError(`The message is larger than the ${size_bytes} bytes that were measured`)
    },
  )
  return {
    ...sink,
    finish: () => {
      sink.finish()
      return chunk.subarray(0, filled)
    },
  }
}

/** Into an open file at its current position; large weights go from where they are straight into the file. */
export const fileSink = (fd: number): Sink & { finish(): void } => {
  const chunk = new Uint8Array(BUFFER_BYTES)
  return openSink(
    chunk,
    (at) => writeAll(fd, chunk.subarray(0, at)),
    (bytes) => writeAll(fd, bytes),
  )
}
