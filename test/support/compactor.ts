import { diskArtifacts } from '../../layers/artifacts/disk.ts'
import { gauge } from '../../layers/artifacts/streaming.ts'

/**
 * A process of its own over the artifacts in `root`. `loop <root> <key>`: compacts and expands the key until it is killed, a line for
 * each. `stream <root> <megabytes>`: puts so much, compacts, reads and expands it, and prints what it needed.
 */
const [, , mode = '', root = '', word = ''] = process.argv
const artifacts = diskArtifacts({ root, now: () => new Date(), sign_key: 'x', public_url: 'http://127.0.0.1:1' })

const loop = async (): Promise<void> => {
  setTimeout(() => process.exit(3), 20_000).unref()
  for (;;) {
    process.stdout.write(`${(await artifacts.compact(word)).form}\n`)
    process.stdout.write(`${(await artifacts.expand(word)).form}\n`)
  }
}

/** Half noise, half not, another megabyte each time. */
async function* megabytes(count: number): AsyncGenerator<Uint8Array> {
  const chunk = Buffer.alloc(1024 * 1024)
  let state = 1
  for (let made = 0; made < count; made += 1) {
    for (let at = 0; at < chunk.length / 2; at += 4) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      chunk.writeUInt32LE(state, at)
    }
    yield chunk
  }
}

const stream = async (): Promise<void> => {
  const put = await artifacts.put('big', megabytes(Number(word)))
  const compact = await artifacts.compact('big', { sha256: put.sha256 })
  const measured = gauge()
  for await (const chunk of await artifacts.read('big')) measured.take(chunk)
  const read = measured.finish()
  await artifacts.expand('big')
  process.stdout.write(`${JSON.stringify({ put, compact, read, peak_kib: process.resourceUsage().maxRSS })}\n`)
}

await (mode === 'loop' ? loop() : stream())
