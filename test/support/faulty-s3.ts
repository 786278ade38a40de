import { once } from 'node:events'
import { createServer, type IncomingMessage, request as open } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Transform } from 'node:stream'
import type { Emulator } from './emulators.ts'

/** What becomes of one request: passed on, answered with an S3 error, cut off after so many bytes, changed, slowed down or never answered. */
export type Fate =
  | 'pass'
  | 'silence'
  | { error: 'SlowDown' | 'InternalError' | 'AccessDenied' | 'NoSuchKey' }
  | { cut_after_bytes: number }
  | 'corrupt'

const statuses = { SlowDown: 503, InternalError: 500, AccessDenied: 403, NoSuchKey: 404 } as const

/** `lost` has its effect and no answer. */
export type WriteFate = 'pass' | 'lost' | Extract<Fate, { error: string }>

export interface FaultyS3 extends Emulator {
  /** Decides for each GET, by its path and how many came before it; `pass` at first. */
  fate(decide: (path: string, number: number) => Fate): void
  /** Decides for each request that is not a GET, by its method, address and how many came before it; `pass` at first. */
  writeFate(decide: (method: string, url: string, number: number) => WriteFate): void
  /** GETs since the last call of `fate`. */
  requests: { path: string; range: string | undefined }[]
}

/** Stands before an S3 emulator and misbehaves on order. */
export const faultyS3 = async (behind: Emulator): Promise<FaultyS3> => {
  let decide: (path: string, number: number) => Fate = () => 'pass'
  let decideWrite: Parameters<FaultyS3['writeFate']>[0] = () => 'pass'
  let writes = 0
  const requests: FaultyS3['requests'] = []
  const forward = (request: IncomingMessage, answered: (reply: IncomingMessage) => void): void => {
    const onward = open(`${behind.endpoint}${request.url}`, { method: request.method, headers: request.headers }, answered)
    onward.on('error', () => request.destroy())
    request.pipe(onward)
  }
  const server = createServer((request, reply) => {
    const path = (request.url ?? '').split('?')[0] ?? ''
    const fate =
      request.method === 'GET' ? decide(path, requests.length) : decideWrite(request.method ?? '', request.url ?? '', writes++)
    if (request.method === 'GET') requests.push({ path, range: request.headers.range })
    if (fate === 'silence') return
    if (typeof fate === 'object' && 'error' in fate) {
      const text = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${fate.error}</Code><Message>on order</Message></Error>`
      request.resume()
      reply.writeHead(statuses[fate.error], { 'content-type': 'application/xml' }).end(text)
      return
    }
    forward(request, (answer) => {
      if (fate === 'lost') {
        answer.resume().on('end', () => request.socket.destroy())
        return
      }
      reply.writeHead(answer.statusCode ?? 500, answer.headers)
      if (fate === 'pass') answer.pipe(reply)
      else answer.pipe(altered(fate, () => reply.destroy())).pipe(reply)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    writeFate: (next) => {
      writes = 0
      decideWrite = next
    },
    fate: (next) => {
      requests.length = 0
      decide = next
    },
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await behind.stop()
    },
  }
}

const altered = (fate: { cut_after_bytes: number } | 'corrupt', cut: () => void): Transform => {
  let passed = 0
  return new Transform({
    transform(piece: Buffer, _, done) {
      if (fate === 'corrupt') {
        done(
          null,
          piece.map((byte) => byte ^ 1),
        )
        return
      }
      const left = fate.cut_after_bytes - passed
      passed += piece.length
      if (piece.length <= left) {
        done(null, piece)
        return
      }
      this.push(piece.subarray(0, Math.max(0, left)))
      // What was pushed leaves first.
      setTimeout(cut, 20)
    },
  })
}
