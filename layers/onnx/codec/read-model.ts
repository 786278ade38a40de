import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { OnnxFault } from '../fault.ts'
import { openCursor, type Source } from './cursor.ts'
import { readMessage } from './read-message.ts'
import type { FileRange, MessageName, Messages, ModelProto } from './schema.ts'
import { eachPiece } from './sink.ts'
import { emptyMessage, tables } from './tables.ts'

/** Protobuf holds no message of 2 GiB or more; neither does the runtime accept one. */
export const MAX_MODEL_BYTES = 2 ** 31 - 1
const WINDOW_BYTES = 256 * 1024

/** A Buffer becomes a plain view first, so that what the reader hands out is a Uint8Array whoever read the file. */
const memorySource = (bytes: Uint8Array): Source => {
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  return { size_bytes: plain.length, window: () => plain }
}

/** A window is valid until the next one is asked for: whatever is kept of it is copied. */
const fileSource = (fd: number, path: string, size_bytes: number): Source => {
  const usual = new Uint8Array(Math.min(WINDOW_BYTES, size_bytes))
  return {
    size_bytes,
    path,
    window: (offset, length) => {
      const wanted = Math.min(Math.max(length, length === 0 ? 0 : WINDOW_BYTES), size_bytes - offset)
      const window = wanted <= usual.length ? usual.subarray(0, wanted) : new Uint8Array(wanted)
      for (let done = 0; done < window.length; ) {
        const read = readSync(fd, window, done, window.length - done, offset + done)
        if (read === 0)
          throw new OnnxFault('truncated', `The file ends at byte ${offset + done}; it had ${size_bytes} bytes when opened`)
        done += read
      }
      return window
    },
  }
}

const decode = (name: MessageName, source: Source): object => {
  if (source.size_bytes === 0) throw new OnnxFault('empty', 'The file is empty (0 bytes)')
  if (source.size_bytes > MAX_MODEL_BYTES) {
    throw new OnnxFault(
      'unsupported',
      `The file has ${source.size_bytes} bytes; protobuf, and so ONNX, ends at ${MAX_MODEL_BYTES}`,
    )
  }
  const table = tables[name]!
  const message = emptyMessage(table)
  readMessage(openCursor(source), table, message, source.size_bytes, 0)
  return message
}

/** The reader builds exactly the shape that `Messages` derives from its table, which types cannot follow through a loop over fields. */
const read = <M extends MessageName>(name: M, source: Source): Messages[M] => decode(name, source) as Messages[M]

/** Reads any message of the table; `raw_data` and strings of bytes are views of `bytes`, which must not change afterwards. */
export const readProto = <M extends MessageName>(name: M, bytes: Uint8Array): Messages[M] => read(name, memorySource(bytes))

/**
 * Reads a model held in memory without copying its weights (they are views of `bytes`).
 * @throws OnnxFault empty, not_a_model, truncated, unsupported; with the byte where it went wrong
 */
export const readModel = (bytes: Uint8Array): ModelProto => readProto('ModelProto', bytes)

/**
 * Reads a model file in constant memory: weights from 4 kB up stay in the file as `ranges` on their tensor.
 * What `readModel` throws.
 */
export const readModelFile = (path: string): ModelProto => {
  const fd = openSync(path, 'r')
  try {
    return read('ModelProto', fileSource(fd, path, fstatSync(fd).size))
  } finally {
    closeSync(fd)
  }
}

/** Reads a whole model file into memory, for editing. */
export const loadModel = (path: string): ModelProto => readModel(readFileSync(path))

/** The bytes of a range that `readModelFile` left in the file. */
export const readRange = (range: FileRange): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(range.size_bytes)
  let at = 0
  eachPiece(range, (piece) => {
    bytes.set(piece, at)
    at += piece.length
  })
  return bytes
}
