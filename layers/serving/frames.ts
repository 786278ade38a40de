import type { Socket } from 'node:net'

/**
 * What parent and model process say to each other over a stream socket.
 * Frame: u32 bytes after this field, u32 id, u32 header bytes, header, payload; little-endian. The header is seven u32 numbers:
 * kind, status, json_bytes (0xffffffff: none), compute_us, cpu_us, batch_size, flags. A payload in pieces has flag `more` on all but the last.
 */
export const kinds = {
  open: 1,
  infer_protocol: 2,
  infer_bare: 3,
  cancel: 4,
  loaded: 5,
  opened: 6,
  tuned: 7,
  reply: 8,
  sample: 9,
} as const
export type Kind = (typeof kinds)[keyof typeof kinds]

export interface FrameHeader {
  kind: number
  status: number
  json_bytes: number | undefined
  compute_us: number
  cpu_us: number
  batch_size: number
}

export interface Frame extends FrameHeader {
  id: number
  /** More frames of this id follow. */
  more: boolean
  payload: Buffer
}

const header_bytes = 28
const prefix_bytes = 12
const start_bytes = prefix_bytes + header_bytes
const absent = 0xffff_ffff
/** Pieces this large keep one long body from holding up the others. */
const piece_bytes = 256 * 1024
/** Payloads up to this are copied together and leave in one system call per turn; larger ones are written as they are. */
const coalesce_bytes = 32 * 1024
const largest_frame_bytes = piece_bytes + start_bytes

export const blankHeader: FrameHeader = { kind: 0, status: 0, json_bytes: undefined, compute_us: 0, cpu_us: 0, batch_size: 0 }

export interface FrameWriter {
  /** Queues one message; all messages of a turn leave together, unless `holds` says to wait for more. */
  send(id: number, header: FrameHeader, parts: readonly Uint8Array[]): void
  /** What is held leaves with this turn. */
  release(): void
}

/** Whether small messages may wait for `release`; `left` hears that nothing waits any more. */
export interface Holding {
  holds(): boolean
  left(): void
}

const writeStart = (target: Buffer, at: number, id: number, header: FrameHeader, payload_bytes: number, more: boolean): void => {
  target.writeUInt32LE(start_bytes - 4 + payload_bytes, at)
  target.writeUInt32LE(id, at + 4)
  target.writeUInt32LE(header_bytes, at + 8)
  target.writeUInt32LE(header.kind, at + 12)
  target.writeUInt32LE(header.status, at + 16)
  target.writeUInt32LE(header.json_bytes ?? absent, at + 20)
  target.writeUInt32LE(Math.min(header.compute_us, absent), at + 24)
  target.writeUInt32LE(Math.min(header.cpu_us, absent), at + 28)
  target.writeUInt32LE(header.batch_size, at + 32)
  target.writeUInt32LE(more ? 1 : 0, at + 36)
}

export const frameWriter = (socket: Socket, holding?: Holding): FrameWriter => {
  const block_bytes = 128 * 1024
  let block = Buffer.allocUnsafeSlow(block_bytes)
  let used = 0
  let sent = 0
  let scheduled = false
  let released = false

  const flush = (): void => {
    if (used > sent && !socket.destroyed) socket.write(block.subarray(sent, used))
    sent = used
  }
  /** Room for `bytes` in the current block; written blocks are left to the garbage collector, never overwritten. */
  const reserve = (bytes: number): number => {
    if (used + bytes > block_bytes) {
      flush()
      block = Buffer.allocUnsafeSlow(block_bytes)
      used = 0
      sent = 0
    }
    const at = used
    used += bytes
    return at
  }
  const schedule = (): void => {
    if (scheduled) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      if (holding?.holds() && !released) return
      released = false
      flush()
      holding?.left()
    })
  }
  const small = (id: number, header: FrameHeader, parts: readonly Uint8Array[], size_bytes: number): void => {
    let at = reserve(start_bytes + size_bytes)
    writeStart(block, at, id, header, size_bytes, false)
    at += start_bytes
    for (const part of parts) {
      block.set(part, at)
      at += part.length
    }
  }
  const large = (id: number, header: FrameHeader, parts: readonly Uint8Array[], size_bytes: number): void => {
    let left = size_bytes
    // Corked, the starts and pieces of one message leave in one system call.
    socket.cork()
    for (const part of parts) {
      for (let at = 0; at < part.length; at += piece_bytes) {
        const piece = part.subarray(at, Math.min(at + piece_bytes, part.length))
        left -= piece.length
        // `reserve` may change the block, so it comes first.
        const start = reserve(start_bytes)
        writeStart(block, start, id, header, piece.length, left > 0)
        flush()
        if (!socket.destroyed) socket.write(piece)
      }
    }
    socket.uncork()
  }
  return {
    send: (id, header, parts) => {
      let size_bytes = 0
      for (const part of parts) size_bytes += part.length
      if (size_bytes <= coalesce_bytes) small(id, header, parts, size_bytes)
      else large(id, header, parts, size_bytes)
      schedule()
    },
    release: () => {
      released = true
      schedule()
    },
  }
}

const nothing = Buffer.alloc(0)

/** The head of a frame, payload still to come, and the payload's size. Throws when no frame begins like this. */
const parseStart = (bytes: Buffer, at: number): { frame: Frame; payload_bytes: number } => {
  const size_bytes = bytes.readUInt32LE(at) + 4
  if (size_bytes < start_bytes || size_bytes > largest_frame_bytes || bytes.readUInt32LE(at + 8) !== header_bytes)
    throw new Error(`frame of ${size_bytes} bytes, wanted ${start_bytes} to ${largest_frame_bytes}`)
  const json_bytes = bytes.readUInt32LE(at + 20)
  const frame: Frame = {
    id: bytes.readUInt32LE(at + 4),
    kind: bytes.readUInt32LE(at + 12),
    status: bytes.readUInt32LE(at + 16),
    json_bytes: json_bytes === absent ? undefined : json_bytes,
    compute_us: bytes.readUInt32LE(at + 24),
    cpu_us: bytes.readUInt32LE(at + 28),
    batch_size: bytes.readUInt32LE(at + 32),
    more: bytes.readUInt32LE(at + 36) === 1,
    payload: nothing,
  }
  return { frame, payload_bytes: size_bytes - start_bytes }
}

/**
 * Cuts a byte stream into frames. Payloads are views into what was received, never copies: a frame that came in several reads is told
 * as several pieces. Throws when the other side breaks the format: the connection is then worthless.
 */
export const frameReader = (receive: (frame: Frame) => void): ((chunk: Buffer) => void) => {
  let held = nothing
  let current: Frame | undefined
  let left = 0

  /** Reads a frame's head at `at`, which may be cut; answers the position behind it. */
  const begin = (chunk: Buffer, at: number): number => {
    const whole = held.length === 0 && chunk.length - at >= start_bytes
    const taken = whole ? start_bytes : Math.min(start_bytes - held.length, chunk.length - at)
    if (!whole) {
      held = Buffer.concat([held, chunk.subarray(at, at + taken)])
      if (held.length < start_bytes) return at + taken
    }
    const { frame, payload_bytes } = whole ? parseStart(chunk, at) : parseStart(held, 0)
    held = nothing
    if (payload_bytes === 0) receive(frame)
    else {
      current = frame
      left = payload_bytes
    }
    return at + taken
  }

  return (chunk) => {
    let at = 0
    while (at < chunk.length) {
      if (!current) {
        at = begin(chunk, at)
        continue
      }
      const payload = chunk.subarray(at, at + left)
      at += payload.length
      left -= payload.length
      if (left > 0) receive({ ...current, more: true, payload })
      else {
        const last = current
        current = undefined
        last.payload = payload
        receive(last)
      }
    }
  }
}

/**
 * The message as one buffer. Joined so that what follows its first `json_bytes` starts on a multiple of eight: tensors can then be
 * viewed in place.
 */
export const whole = (pieces: readonly Buffer[], json_bytes = 0): Buffer => {
  if (pieces.length === 1) return pieces[0]!
  const start = (8 - (json_bytes % 8)) % 8
  const size_bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const joined = Buffer.allocUnsafeSlow(start + size_bytes)
  let at = start
  for (const piece of pieces) {
    joined.set(piece, at)
    at += piece.length
  }
  return joined.subarray(start)
}

/** Gathers the pieces of messages: all of them with the last one. */
export const messageJoiner = (): ((frame: Frame) => Buffer[] | undefined) => {
  const open = new Map<number, Buffer[]>()
  return (frame) => {
    const earlier = open.get(frame.id)
    if (!frame.more && !earlier) return [frame.payload]
    const pieces = earlier ?? []
    pieces.push(frame.payload)
    if (frame.more) {
      open.set(frame.id, pieces)
      return undefined
    }
    open.delete(frame.id)
    return pieces
  }
}
