import { crc32 } from 'node:zlib'

/** `application/vnd.amazon.eventstream`: each message carries its lengths, headers and two checksums. Headers are texts (type 7). */
export const eventMessage = (headers: Record<string, string>, payload: Uint8Array): Buffer => {
  const named = Object.entries(headers).map(([name, value]) => {
    const text = Buffer.from(value)
    const head = Buffer.alloc(name.length + 4)
    head.writeUInt8(name.length, 0)
    head.write(name, 1)
    head.writeUInt8(7, 1 + name.length)
    head.writeUInt16BE(text.length, 2 + name.length)
    return Buffer.concat([head, text])
  })
  const block = Buffer.concat(named)
  const message = Buffer.alloc(16 + block.length + payload.length)
  message.writeUInt32BE(message.length, 0)
  message.writeUInt32BE(block.length, 4)
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8)
  block.copy(message, 12)
  message.set(payload, 12 + block.length)
  message.writeUInt32BE(crc32(message.subarray(0, message.length - 4)), message.length - 4)
  return message
}

const typed = (type: string, content: string, payload: Uint8Array): Buffer =>
  eventMessage({ ':message-type': 'event', ':event-type': type, ':content-type': content }, payload)

export const payloadChunk = (bytes: Uint8Array): Buffer => typed('PayloadChunk', 'application/octet-stream', bytes)
export const invokeComplete = (failure?: { ErrorCode: string; ErrorDetails: string }): Buffer =>
  typed('InvokeComplete', 'application/json', Buffer.from(JSON.stringify(failure ?? {})))
