/**
 * Raw `session.run` against the serving core's own HTTP server: CPU microseconds per request (both processes of the server together),
 * 32 connections, binary tensors. `node bench/serving.ts [SECONDS]`. A ratio of 1 means that the whole route costs what one raw run does.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startHttpServer } from '../layers/serving/http-server.ts'
import { load, processCpu, rawRun, requestFor, type Subject, subjectsIn } from './subjects.ts'

const seconds = Number(process.argv[2] ?? 4)
const rounds = 3
const goals = [1, 1.9, 0.84]
const dir = mkdtempSync(join(tmpdir(), 'bench-serving-'))

const served = async (subject: Subject) => {
  const server = await startHttpServer({ model_path: subject.path, name: 'm' })
  const file = join(dir, 'request.bin')
  writeFileSync(file, requestFor('/v2/models/m/infer', subject))
  await load(server.port, 32, 2, file)
  const pid = server.model_pid() ?? 0
  const own = process.cpuUsage()
  const child = processCpu(pid)
  const result = await load(server.port, 32, seconds, file)
  const used = process.cpuUsage(own)
  const cpu_us = (used.user + used.system + processCpu(pid) - child) / result.requests
  await server.close()
  return { cpu_us, ...result }
}

for (const [at, subject] of subjectsIn(dir).entries()) {
  const raws: number[] = []
  const routes: Awaited<ReturnType<typeof served>>[] = []
  for (let round = 0; round < rounds; round++) {
    raws.push(await rawRun(subject, seconds * 0.4))
    routes.push(await served(subject))
  }
  const raw = Math.min(...raws)
  const best = routes.reduce((a, b) => (b.cpu_us < a.cpu_us ? b : a))
  const goal = goals[at] ?? 0
  console.log(
    `${subject.name}: raw ${raw.toFixed(1)} µs, route ${best.cpu_us.toFixed(1)} µs, ratio ${(raw / best.cpu_us).toFixed(2)} (goal ${goal}: ${raw / best.cpu_us >= goal ? 'met' : 'NOT met'}); ` +
      `${Math.round(best.requests / best.seconds)} requests/s, p50 ${best.p50_ms} ms, p99 ${best.p99_ms} ms, errors ${best.errors}`,
  )
}
rmSync(dir, { recursive: true, force: true })
