import { connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { blankHeader, type Frame, frameReader, frameWriter, messageJoiner } from '../../../layers/serving/frames.ts'

const open: { destroy?(): void; close?(): void }[] = []
afterEach(() => {
  for (const each of open.splice(0)) {
    each.destroy?.()
    each.close?.()
  }
})

const pair = async (): Promise<[Socket, Socket]> => {
  const server = createServer()
  open.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  const near = connect(typeof address === 'object' && address ? address.port : 0, '127.0.0.1')
  const far = await accepted
  open.push(near, far)
  return [near, far]
}

/** Deterministic sizes from empty to several pieces, around the borders where the code changes its way. */
const sizes = Array.from(
  { length: 900 },
  (_, i) => [0, 1, 3, 100, 3_000, 32_767, 32_768, 32_769, 111_000, 262_144, 262_145, 700_001][(i * 7) % 12]! + (i % 5),
)
const body = (id: number, size_bytes: number): Buffer => Buffer.alloc(size_bytes, id % 251)

test('thousands of messages of every size arrive whole and in order, also cut anywhere', async () => {
  const [near, far] = await pair()
  const writer = frameWriter(near)
  const joined = messageJoiner()
  const got: { id: number; bytes: Buffer; json_bytes: number | undefined }[] = []
  const finished = new Promise<void>((resolve, reject) => {
    const read = frameReader((frame: Frame) => {
      const pieces = joined(frame)
      if (pieces) got.push({ id: frame.id, bytes: Buffer.concat(pieces), json_bytes: frame.json_bytes })
      if (got.length === sizes.length) resolve()
    })
    let cut = 1
    far.on('data', (chunk: Buffer) => {
      try {
        for (let at = 0; at < chunk.length; at += cut, cut = (cut * 31 + 7) % 90_001) read(chunk.subarray(at, at + cut))
      } catch (error) {
        reject(error)
      }
    })
  })
  for (const [id, size_bytes] of sizes.entries()) {
    const bytes = body(id, size_bytes)
    writer.send(id, { ...blankHeader, kind: 2, json_bytes: id % 2 ? id : undefined }, [
      bytes.subarray(0, size_bytes >> 1),
      bytes.subarray(size_bytes >> 1),
    ])
    if (id % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await finished
  for (const [i, message] of got.entries()) {
    expect(message.id).toBe(i)
    expect(message.json_bytes).toBe(i % 2 ? i : undefined)
    expect(message.bytes.equals(body(i, sizes[i]!))).toBe(true)
  }
})

test('a length that no frame has ends the conversation', () => {
  const read = frameReader(() => undefined)
  expect(() => read(Buffer.from('GET / HTTP/1.1\r\n\r\n and so on and so on and so on'))).toThrow(/frame of \d+ bytes/)
  expect(() => frameReader(() => undefined)(Buffer.alloc(60))).toThrow(/frame of 4 bytes/)
})
