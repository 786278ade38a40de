import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import { PlatformError } from '../core/contract/errors.ts'

/**
 * The zstd seekable format (facebook/zstd, contrib/seekable_format): independent frames, then a skippable frame with their sizes. Any zstd
 * reads it whole; the table lets a range be read by decompressing only the frames it touches.
 */

const compressed = promisify(zstdCompress)
const decompressed = promisify(zstdDecompress)

/** Large enough to compress well, small enough that a few in memory are nothing. */
const frame_bytes = 4 * 1024 * 1024
const skippable_magic = 0x184d2a5e
const seekable_magic = 0x8f92eab1
const footer_bytes = 9
const entry_bytes = 8

export interface Frame {
  /** Position and length in the compressed bytes. */
  at: number
  length: number
  /** Position and length in the original. */
  from: number
  size_bytes: number
}

/** Chunks of any size as chunks of the size of a frame; the last one is what remains. */
async function* inFrames(body: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let held: Uint8Array[] = []
  let held_bytes = 0
  for await (let chunk of body) {
    while (held_bytes + chunk.byteLength >= frame_bytes) {
      const room = frame_bytes - held_bytes
      yield Buffer.concat([...held, chunk.subarray(0, room)])
      chunk = chunk.subarray(room)
      held = []
      held_bytes = 0
    }
    // A copy: the giver may use its buffer again.
    held.push(Buffer.from(chunk))
    held_bytes += chunk.byteLength
  }
  if (held_bytes > 0) yield Buffer.concat(held)
}

/** The body compressed: frames, then the table. One frame is in memory at a time. */
export async function* compressFrames(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const entries: Buffer[] = []
  for await (const chunk of inFrames(body)) {
    const frame = await compressed(chunk, {
      params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 },
    })
    const entry = Buffer.alloc(entry_bytes)
    entry.writeUInt32LE(frame.byteLength, 0)
    entry.writeUInt32LE(chunk.byteLength, 4)
    entries.push(entry)
    yield frame
  }
  yield seekTable(entries)
}

const seekTable = (entries: readonly Buffer[]): Buffer => {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(skippable_magic, 0)
  head.writeUInt32LE(entries.length * entry_bytes + footer_bytes, 4)
  const footer = Buffer.alloc(footer_bytes)
  footer.writeUInt32LE(entries.length, 0)
  footer.writeUInt32LE(seekable_magic, 5)
  return Buffer.concat([head, ...entries, footer])
}

const damaged = (what: string): PlatformError =>
  new PlatformError('internal', `A compressed artifact is damaged: ${what}; it can be restored from a backup`)

/** Reads the table from the end of compressed bytes; `readAt` answers exactly the bytes asked for. */
export const readFrames = async (
  stored_bytes: number,
  readAt: (position: number, length: number) => Promise<Buffer>,
): Promise<Frame[]> => {
  if (stored_bytes < footer_bytes + 8) throw damaged(`it has ${stored_bytes} bytes`)
  const footer = await readAt(stored_bytes - footer_bytes, footer_bytes)
  const count = footer.readUInt32LE(0)
  const table_bytes = count * entry_bytes
  if (footer.readUInt32LE(5) !== seekable_magic || footer.readUInt8(4) !== 0 || table_bytes + footer_bytes + 8 > stored_bytes)
    throw damaged('it does not end in its table of frames')
  const table = await readAt(stored_bytes - footer_bytes - table_bytes, table_bytes)
  const frames: Frame[] = []
  let at = 0
  let from = 0
  for (let index = 0; index < count; index += 1) {
    const length = table.readUInt32LE(index * entry_bytes)
    const size_bytes = table.readUInt32LE(index * entry_bytes + 4)
    frames.push({ at, length, from, size_bytes })
    at += length
    from += size_bytes
  }
  if (at + 8 + table_bytes + footer_bytes !== stored_bytes) throw damaged('its frames do not fill it')
  return frames
}

export const originalSize = (frames: readonly Frame[]): number => {
  const last = frames.at(-1)
  return last === undefined ? 0 : last.from + last.size_bytes
}

/**
 * The original's bytes `start` to `end`, inclusive. `open` answers the compressed bytes from one position to another, inclusive; it is
 * called once, when the first byte is wanted, and not at all for nothing.
 */
export async function* decompressRange(
  frames: readonly Frame[],
  { start, end }: { start: number; end: number },
  open: (from: number, to: number) => Promise<AsyncIterable<Uint8Array>>,
): AsyncGenerator<Uint8Array> {
  const wanted = frames.filter((frame) => frame.size_bytes > 0 && frame.from <= end && frame.from + frame.size_bytes > start)
  const [first, last] = [wanted[0], wanted.at(-1)]
  if (!first || !last) return
  const pieces = exactly(await open(first.at, last.at + last.length - 1), wanted)
  for await (const { frame, bytes } of pieces) {
    const original = await decompressed(bytes).catch((cause: unknown) => {
      throw new PlatformError('internal', 'A compressed artifact is damaged; it can be restored from a backup', { cause })
    })
    if (original.byteLength !== frame.size_bytes) throw damaged('a frame has another size than its table says')
    yield original.subarray(Math.max(0, start - frame.from), Math.min(frame.size_bytes, end + 1 - frame.from))
  }
}

/** A stream cut into the frames it is made of. */
async function* exactly(
  stream: AsyncIterable<Uint8Array>,
  frames: readonly Frame[],
): AsyncGenerator<{ frame: Frame; bytes: Buffer }> {
  let at = 0
  let held: Uint8Array[] = []
  let held_bytes = 0
  for await (let chunk of stream) {
    for (let frame = frames[at]; frame && held_bytes + chunk.byteLength >= frame.length; frame = frames[at]) {
      const room = frame.length - held_bytes
      yield { frame, bytes: Buffer.concat([...held, chunk.subarray(0, room)]) }
      chunk = chunk.subarray(room)
      held = []
      held_bytes = 0
      at += 1
    }
    held.push(chunk)
    held_bytes += chunk.byteLength
  }
  if (at < frames.length) throw damaged('it ends too early')
}
