/**
 * Load generator, a process of its own: `node bench/load.ts PORT CONNECTIONS SECONDS REQUEST_FILE` sends the bytes of the file over
 * keep-alive connections, one request at a time each, and prints `{requests, errors, p50_ms, p99_ms, seconds}`.
 */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'

const [port, connections, seconds, file] = process.argv.slice(2)
const request = readFileSync(String(file))
const latencies: number[] = []
let errors = 0
let stopped = false

const run = (): Promise<void> =>
  new Promise((resolve) => {
    const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true })
    let sent_at = 0
    let missing = -1
    const send = (): void => {
      if (stopped) {
        socket.destroy()
        resolve()
        return
      }
      sent_at = performance.now()
      missing = -1
      socket.write(request)
    }
    socket.on('connect', send)
    socket.on('error', () => {
      errors += 1
      resolve()
    })
    socket.on('data', (chunk: Buffer) => {
      if (missing === -1) {
        const head_end = chunk.indexOf('\r\n\r\n')
        const head = chunk.toString('latin1', 0, head_end)
        missing = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0) + head_end + 4
        if (!head.startsWith('HTTP/1.1 200')) errors += 1
      }
      missing -= chunk.length
      if (missing > 0) return
      latencies.push(performance.now() - sent_at)
      send()
    })
  })

const started = performance.now()
setTimeout(() => {
  stopped = true
}, Number(seconds) * 1000)
await Promise.all(Array.from({ length: Number(connections) }, run))
latencies.sort((a, b) => a - b)
const at = (share: number): number => Number((latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(3))
console.log(
  JSON.stringify({
    requests: latencies.length,
    errors,
    p50_ms: at(0.5),
    p99_ms: at(0.99),
    seconds: (performance.now() - started) / 1000,
  }),
)
process.exit(0)
