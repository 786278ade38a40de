import { request } from 'node:http'
import { connect, type Socket } from 'node:net'

/** Bytes as they are, for requests no client library would send. */

export interface RawReply {
  /** Everything that came back. */
  text: string
  /** Status codes in the order they came, interim ones left out. */
  statuses: number[]
  /** The host ended the connection, rather than us after `wait_ms`. */
  ended: boolean
}

export const openSocket = (url: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port) }, () => resolve(socket))
    socket.once('error', reject)
  })

/** Sends the pieces one after another and collects what comes until the host closes or nothing more is said for `wait_ms`. */
export const exchange = async (url: string, pieces: (string | Uint8Array)[], wait_ms = 1500): Promise<RawReply> => {
  const socket = await openSocket(url)
  const chunks: Buffer[] = []
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<boolean>((resolve) => {
    const again = (): void => {
      clearTimeout(timer)
      timer = setTimeout(() => resolve(false), wait_ms)
    }
    again()
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      again()
    })
    socket.on('error', () => resolve(true))
    socket.on('close', () => resolve(true))
  })
  for (const piece of pieces) if (socket.writable) socket.write(piece)
  const ended = await over
  clearTimeout(timer)
  socket.destroy()
  const text = Buffer.concat(chunks).toString('latin1')
  return {
    text,
    statuses: [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1])).filter((s) => s >= 200),
    ended,
  }
}

/** One request with its header lines exactly as given. */
export const rawRequest = (line: string, headers: string[] = [], body = ''): string =>
  [`${line} HTTP/1.1`, 'Host: localhost', ...headers, '', body].join('\r\n')

/** A request whose path goes out as written: `fetch` resolves `..` and `%2e%2e` before it sends. */
export const unresolved = (
  url: string,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<{ status: number; headers: Headers; body: unknown }> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const sent = request({ hostname, port, method, path, headers, agent: false }, (reply) => {
      const chunks: Buffer[] = []
      reply.on('data', (chunk: Buffer) => chunks.push(chunk))
      reply.once('error', reject)
      reply.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        const known = Object.entries(reply.headers).flatMap(([name, value]) =>
          value === undefined ? [] : [[name, String(value)]],
        )
        const is_json = /json/.test(reply.headers['content-type'] ?? '')
        resolve({
          status: reply.statusCode ?? 0,
          headers: new Headers(Object.fromEntries(known)),
          body: is_json ? JSON.parse(text) : text,
        })
      })
    })
    sent.once('error', reject)
    sent.end(body)
  })
