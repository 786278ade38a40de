import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errorBody, renderFault } from './fault.ts'
import { HttpFault, type HttpRequest, httpReader } from './http1.ts'
import type { InstanceReply } from './instance.ts'
import { type Supervisor, supervise } from './supervisor.ts'

/**
 * The serving core as a server of its own: the Open Inference Protocol at `/v2…`, the bare form at `POST /`. This thread moves
 * bytes; the model computes in a child process, so that health is answered while it does.
 */
export interface HttpServerOptions {
  model_path: string
  name: string
  version?: string
  threads?: number
  max_batch?: number
  /** Weights too large to prepack beside serving: a second process does it. */
  swap_tiers?: boolean
  host?: string
  /** 0 chooses a free one. */
  port?: number
  /** A call may take this long; the model process is then replaced. Default 30 s. */
  timeout_ms?: number
  /** Default 256 MiB. */
  max_request_bytes?: number
}

export interface HttpServer {
  url: string
  port: number
  /** Of the model process now serving. */
  model_pid(): number | undefined
  close(): Promise<void>
}

const reasons: Record<number, string> = {
  200: 'OK',
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
}
const header_bytes = 16 * 1024
const header_timeout_ms = 10_000
const idle_timeout_ms = 75_000
/** Replies up to this leave in one write with their head. */
const joined_bytes = 64 * 1024

const headOf = (status: number, headers: Readonly<Record<string, string>>, length: number, keep_alive: boolean): string => {
  let head = `HTTP/1.1 ${status} ${reasons[status] ?? 'Status'}\r\n`
  for (const name in headers) head += `${name}: ${headers[name]}\r\n`
  return `${head}content-length: ${length}\r\n${keep_alive ? '' : 'connection: close\r\n'}\r\n`
}

const writeReply = (
  socket: Socket,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: readonly Uint8Array[],
  keep_alive: boolean,
): void => {
  if (socket.destroyed) return
  let length = 0
  for (const part of body) length += part.length
  const head = headOf(status, headers, length, keep_alive)
  if (length <= joined_bytes) {
    const whole = Buffer.allocUnsafe(head.length + length)
    let at = whole.write(head, 0, 'latin1')
    for (const part of body) {
      whole.set(part, at)
      at += part.length
    }
    socket.write(whole)
  } else {
    socket.cork()
    socket.write(head, 'latin1')
    for (const part of body) socket.write(part)
    socket.uncork()
  }
  if (!keep_alive) socket.end()
}

const json = { 'content-type': 'application/json' }

type Replying = (status: number, headers: Readonly<Record<string, string>>, body: readonly Uint8Array[]) => void

const answer = (model: Supervisor, request: HttpRequest, reply: Replying): void => {
  const { method, path, headers, body } = request
  if (method === 'GET' && path === '/v2/health/live') reply(200, json, [Buffer.from('{"live":true}')])
  else if (method === 'GET' && path === '/v2/health/ready' && !model.facts) reply(503, json, [Buffer.from('{"ready":false}')])
  else
    model.call({ method, path, headers, body }, (error, result?: InstanceReply) => {
      if (result) return reply(result.status, result.headers, result.body)
      const fault = renderFault(error)
      reply(fault.status, json, [fault.body])
    })
}

const serveConnection = (socket: Socket, model: Supervisor, max_request_bytes: number): void => {
  const queue: HttpRequest[] = []
  let busy = false
  const next = (): void => {
    const request = queue.shift()
    busy = request !== undefined
    if (!request) return
    answer(model, request, (status, headers, body) => {
      writeReply(socket, status, headers, body, request.keep_alive)
      if (request.keep_alive) next()
    })
  }
  const reader = httpReader(
    { header_bytes, body_bytes: max_request_bytes },
    (request) => {
      queue.push(request)
      // Pipelined requests are answered in order; a peer that sends many without reading is made to wait.
      if (queue.length > 16) socket.pause()
      if (!busy) next()
      if (queue.length <= 16 && socket.isPaused()) socket.resume()
    },
    () => socket.write('HTTP/1.1 100 Continue\r\n\r\n'),
  )
  const refuse = (status: number, detail: string): void =>
    writeReply(socket, status, json, [errorBody('bad_request', detail)], false)
  socket.setTimeout(idle_timeout_ms, () => {
    if (!busy) socket.destroy()
  })
  socket.on('data', (chunk: Buffer) => {
    try {
      reader.push(chunk)
    } catch (error) {
      socket.pause()
      refuse(error instanceof HttpFault ? error.status : 400, error instanceof Error ? error.message : 'malformed request')
    }
  })
  socket.on('error', () => socket.destroy())
  const slow = setInterval(() => {
    if (reader.midway && !busy && slowSince > 0 && performance.now() - slowSince > header_timeout_ms)
      refuse(408, 'the request did not arrive in time')
    slowSince = reader.midway ? slowSince || performance.now() : 0
  }, 1000).unref()
  let slowSince = 0
  socket.on('close', () => clearInterval(slow))
}

const listening = (server: Server, host: string, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : port)
    })
  })

/** Opens the model, then the port. Fails with the model's fault. */
export const startHttpServer = async (options: HttpServerOptions): Promise<HttpServer> => {
  const cwd = mkdtempSync(join(tmpdir(), 'serving-'))
  const { model_path, name, version = '1', threads = 1, max_batch = 32, host = '127.0.0.1' } = options
  const model = await supervise({
    model: { model_path, name, version, threads, max_batch },
    swap_tiers: options.swap_tiers ?? false,
    cwd,
    timeout_ms: options.timeout_ms ?? 30_000,
  })
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    serveConnection(socket, model, options.max_request_bytes ?? 256 * 2 ** 20)
  })
  const port = await listening(server, host, options.port ?? 0)
  return {
    url: `http://${host}:${port}`,
    port,
    model_pid: () => model.instance?.pid,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await model.close()
      await closed
      rmSync(cwd, { recursive: true, force: true })
    },
  }
}
