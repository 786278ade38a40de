/**
 * From the start of a model function to its first answer, for an 84 MB model: eight ranges at once against one stream, where the bucket
 * gives each connection 55 MB/s (what one S3 stream to a Lambda function is known to bring).
 *
 *   node bench/model-load.ts [--megabytes 84] [--connection-mbps 55] [--runs 3]
 *
 * Both load the same files with the same checks; only the number of connections differs. The function's host, the bucket and the
 * function share this machine's cores.
 */

import { createHash } from 'node:crypto'
import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { buildRuntime } from '../bin/build.ts'
import type { ReadRange } from '../layers/model-files/fetch-file.ts'
import { fetchModel } from '../layers/model-files/fetch-model.ts'
import { writeServingForm } from '../layers/onnx/serving-form.ts'
import { startLambda } from '../test/support/lambda-runtime.ts'
import { denseModel, writeModel } from '../test/support/models.ts'
import { modelEnvironment } from '../test/support/published-model.ts'

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '84' },
    'connection-mbps': { type: 'string', default: '55' },
    runs: { type: 'string', default: '3' },
  },
})
const bytes_per_ms = (Number(values['connection-mbps']) * 1e6) / 1000
const folder = mkdtempSync(join(tmpdir(), 'aideploy-load-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

/** Dense layers of 2048 × 2048 floats, 16.8 MB each. */
const layers = Math.max(1, Math.round((Number(values.megabytes) * 1e6) / (2048 * 2048 * 4)))
const model = writeModel(join(folder, 'in', 'model.onnx'), denseModel(Array.from({ length: layers + 1 }, () => 2048)))
const { files } = await writeServingForm(model, join(folder, 'form'))
const digest = async (path: string): Promise<string> => {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece)
  return hash.digest('hex')
}
const facts = { organization_id: 'org_1', deployment_id: 'dep_1', deployment_type: 'serverless', revision: 1, name: 'large' }
const manifest = {
  ...facts,
  model_sha256: await digest(model),
  files: await Promise.all(
    files.map(async (path) => {
      const name = path.split('/').at(-1) ?? ''
      return { name, key: `m/${name}`, size_bytes: statSync(path).size, sha256: await digest(path) }
    }),
  ),
}
const manifest_text = JSON.stringify(manifest)

/** Objects by GET with a range, each answer no faster than one connection's share. */
const bucket = createServer(async (request, reply) => {
  // The function would write its usage to a table, which does not matter here.
  if (request.method !== 'GET') {
    reply.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' }).end('{"__type":"ResourceNotFoundException"}')
    return
  }
  const name = (request.url ?? '').split('?')[0]?.split('/').at(-1) ?? ''
  const size_bytes = name === 'manifest.json' ? Buffer.byteLength(manifest_text) : statSync(join(folder, 'form', name)).size
  const [, from = '0', to = ''] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? []
  const [start, end] = [Number(from), Math.min(size_bytes - 1, to === '' ? size_bytes : Number(to))]
  const headers = { 'content-length': end - start + 1, 'content-range': `bytes ${start}-${end}/${size_bytes}`, etag: '"bench"' }
  reply.writeHead(206, headers)
  if (name === 'manifest.json') {
    reply.end(manifest_text)
    return
  }
  const began = performance.now()
  let sent = 0
  for await (const piece of createReadStream(join(folder, 'form', name), { start, end, highWaterMark: 256 * 1024 })) {
    sent += piece.length
    const ahead_ms = sent / bytes_per_ms - (performance.now() - began)
    if (ahead_ms > 1) await pause(ahead_ms)
    reply.write(piece)
  }
  reply.end()
})
bucket.listen(0, '127.0.0.1')
await new Promise((listening) => bucket.once('listening', listening))
const endpoint = `http://127.0.0.1:${(bucket.address() as AddressInfo).port}`

const median = (figures: number[]): number => figures.sort((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN
const repeated = async (run: () => Promise<number>): Promise<number> => {
  const figures: number[] = []
  for (let at = 0; at < Number(values.runs); at++) figures.push(await run())
  return median(figures)
}

/** The loader alone, in this process, without an SDK. */
const read: ReadRange = async (key, { start, end }, signal) => {
  const { Readable } = await import('node:stream')
  const reply = await fetch(`${endpoint}/${key}`, { headers: { range: `bytes=${start}-${end}` }, signal })
  if (reply.body === null) throw new Error('no body')
  return Readable.fromWeb(reply.body)
}
const wanted = { manifest_key: 'm/manifest.json', manifest_sha256: createHash('sha256').update(manifest_text).digest('hex') }
const loading = (concurrency: number, part_bytes: number | undefined) =>
  repeated(async () => {
    const options = { read, concurrency, ...(part_bytes !== undefined && { part_bytes }) }
    return (await fetchModel(wanted, join(folder, 'loaded'), options)).fetch_ms
  })
const size_mb = manifest.files.reduce((sum, { size_bytes }) => sum + size_bytes, 0) / 1e6
console.log(`${size_mb.toFixed(0)} MB in ${files.length} files, ${values['connection-mbps']} MB/s a connection`)
const single_ms = await loading(1, 2 ** 31)
const ranges_ms = await loading(8, undefined)
console.log(`load, one stream         ${single_ms.toFixed(0).padStart(6)} ms`)
console.log(
  `load, eight ranges       ${ranges_ms.toFixed(0).padStart(6)} ms (${(single_ms / ranges_ms).toFixed(1)} times as fast)`,
)

const runtime = join(import.meta.dirname, '..', 'node_modules', '.cache', `model-load-${process.pid}`)
await buildRuntime(runtime)
try {
  const published = { ...wanted, manifest }
  const environment = { ...modelEnvironment(published), AWS_ENDPOINT_URL_S3: endpoint, AWS_ENDPOINT_URL_DYNAMODB: endpoint }
  const functions = new Map([
    ['large', { folder: runtime, handler: 'handler.handler', environment, timeout_s: 60, memory_mb: 1769 }],
  ])
  const body = JSON.stringify({ inputs: [Array.from({ length: 2048 }, () => 0.5)] })
  const first_ms = await repeated(async () => {
    const host = await startLambda({ functions })
    const url = await host.url('large')
    const began = performance.now()
    const reply = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    if (reply.status !== 200) throw new Error(await reply.text())
    await reply.arrayBuffer()
    const took_ms = performance.now() - began
    await host.stop()
    return took_ms
  })
  console.log(
    `start to first answer    ${first_ms.toFixed(0).padStart(6)} ms (function with eight ranges, process start included)`,
  )
  console.log(`  with one stream about  ${(first_ms + single_ms - ranges_ms).toFixed(0).padStart(6)} ms`)
} finally {
  rmSync(runtime, { recursive: true, force: true })
  bucket.close()
  bucket.closeAllConnections()
}
