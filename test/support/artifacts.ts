import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isPlatformError } from '../../layers/core/contract/errors.ts'
import type { Artifacts, PartReceiver, UploadedPart, UploadPlan } from '../../layers/core/ports/artifacts.ts'

export const mebibyte = 1024 * 1024

/** Bytes that differ everywhere, the same for the same seed. */
export const bytesOf = (size_bytes: number, seed = 1): Buffer => {
  const bytes = Buffer.allocUnsafe(size_bytes)
  let state = seed >>> 0
  for (let at = 0; at < size_bytes; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[at] = state >>> 24
  }
  return bytes
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** The bytes as a stream of odd chunks, each of which is overwritten once the next is asked for. */
export async function* streamOf(bytes: Uint8Array, chunk_bytes = 65_537): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += chunk_bytes) {
    const chunk = Uint8Array.from(bytes.subarray(at, at + chunk_bytes))
    yield chunk
    chunk.fill(0)
  }
}

/** A caller who goes away in the middle. */
export async function* brokenStream(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* streamOf(bytes)
  throw new Error('the caller went away')
}

export const bytesFrom = async (stream: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** PUTs parts of `bytes` to the addresses of a plan, as a caller does. */
export const sendPart = async (plan: UploadPlan, number: number, bytes: Uint8Array): Promise<UploadedPart> => {
  const part = plan.parts.find((each) => each.number === number)
  if (!part) throw new Error(`the plan has no part ${number}`)
  const start = (number - 1) * plan.part_size
  const response = await fetch(part.url, { method: 'PUT', body: Uint8Array.from(bytes.subarray(start, start + plan.part_size)) })
  if (!response.ok) throw new Error(`part ${number}: ${response.status} ${await response.text()}`)
  return { number, etag: response.headers.get('etag') ?? '' }
}

/** What the host's upload route does: hands part bodies to the receiver. */
export const servePartsOf = async (receiver: () => Artifacts & PartReceiver): Promise<Server & { origin: string }> => {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1')
    const [, , upload_id = '', , number] = url.pathname.split('/')
    const query = (name: string) => url.searchParams.get(name) ?? ''
    receiver()
      .receivePart({ upload_id, number: Number(number), expires: query('expires'), signature: query('signature') }, request)
      .then(
        ({ etag }) => response.writeHead(200, { etag }).end(),
        (error: unknown) => response.writeHead(isPlatformError(error) ? error.status : 500).end(String(error)),
      )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(server, { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}
