import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Emulator } from './emulators.ts'

/** A call that moto does not serve, why, and what stands in for it. */
export interface Miss {
  reason: string
  /** `METHOD path`, query included. */
  calls: RegExp
  status: number
  answer: unknown
  error?: string
}

export interface Forwarder extends Emulator {
  /** What went to moto, and what was answered in its place: `METHOD path`. */
  forwarded: string[]
  stood_in: string[]
}

/** Passes everything on to moto but what it is declared to miss. */
export const forwardTo = async (moto: Emulator, misses: readonly Miss[]): Promise<Forwarder> => {
  const forwarded: string[] = []
  const stood_in: string[] = []
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await buffer(request)
    const call = `${request.method} ${request.url}`
    const miss = misses.find(({ calls }) => calls.test(call))
    if (miss) {
      stood_in.push(call)
      response.writeHead(miss.status, {
        'content-type': 'application/json',
        ...(miss.error && { 'x-amzn-errortype': miss.error }),
      })
      return void response.end(JSON.stringify(miss.answer))
    }
    forwarded.push(call)
    const headers = Object.entries(request.headers).filter(
      ([name]) => !['host', 'connection', 'content-length', 'transfer-encoding'].includes(name),
    )
    const reply = await fetch(moto.endpoint + request.url, {
      method: request.method ?? 'GET',
      headers: Object.fromEntries(headers.map(([name, value]) => [name, String(value)])),
      ...(body.length > 0 && { body }),
    })
    response.writeHead(
      reply.status,
      Object.fromEntries(
        [...reply.headers].filter(([name]) => !/^(connection|transfer-encoding|content-(length|encoding))$/.test(name)),
      ),
    )
    response.end(Buffer.from(await reply.arrayBuffer()))
  }
  const server = createServer((request, response) => void pass(request, response).catch(() => response.destroy()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    server.close()
    await moto.stop()
  }
  return { endpoint: `http://127.0.0.1:${port}`, forwarded, stood_in, stop }
}
