/**
 * Parse and write a 100 MB model: this codec beside protobufjs (`onnx-proto`) and protobuf-es (`onnx-buf`), alternating, each in a process of its own.
 * `node bench/codec.ts`
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readModel, readModelFile } from '../layers/onnx/codec/read-model.ts'
import { encodeModel, writeModelFile } from '../layers/onnx/codec/write-model.ts'
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../layers/onnx/graph/build.ts'

const LAYERS = 100
const ROUNDS = 5
/** A row and a column of 512 floats more than a quarter million: 1 MB a layer. */
const WIDTH = 512

const synthesise = (): Uint8Array => {
  const weights = Array.from({ length: LAYERS }, (_, layer) =>
    makeTensor(
      `w${layer}`,
      [WIDTH, WIDTH],
      Float32Array.from({ length: WIDTH * WIDTH }, (_, at) => ((at * 7919 + layer) % 1009) / 1009),
    ),
  )
  const nodes = weights.flatMap((tensor, layer) => [
    makeNode('MatMul', [layer === 0 ? 'x' : `r${layer - 1}`, tensor.name ?? ''], [`m${layer}`]),
    makeNode('Relu', [`m${layer}`], [`r${layer}`]),
  ])
  const graph = makeGraph({
    nodes,
    inputs: [makeValueInfo('x', 1, ['N', WIDTH])],
    outputs: [makeValueInfo(`r${LAYERS - 1}`, 1, ['N', WIDTH])],
    initializers: weights,
  })
  return encodeModel(makeModel(graph))
}

type Contestant = (path: string, out: string) => () => void

/** Each imports what only it needs, before anything is measured. */
const contestants: Record<string, () => Promise<Contestant>> = {
  'this codec: load, parse, write to a file': async () => (path, out) => {
    const model = readModel(readFileSync(path))
    return () => writeModelFile(model, out)
  },
  'this codec: parse in windows, write file to file': async () => (path, out) => {
    const model = readModelFile(path)
    return () => writeModelFile(model, out)
  },
  'this codec: load, parse, encode in memory, write': async () => (path, out) => {
    const model = readModel(readFileSync(path))
    return () => writeFileSync(out, encodeModel(model))
  },
  'protobufjs (onnx-proto): load, parse, encode, write': async () => {
    const { onnx } = (await import('onnx-proto')).default
    return (path, out) => {
      const model = onnx.ModelProto.decode(readFileSync(path))
      return () => writeFileSync(out, onnx.ModelProto.encode(model).finish())
    }
  },
  'protobuf-es (onnx-buf): load, parse, encode, write': async () => {
    const { fromBinary, toBinary } = await import('@bufbuild/protobuf')
    const { ModelProtoSchema } = await import('onnx-buf')
    return (path, out) => {
      const model = fromBinary(ModelProtoSchema, readFileSync(path))
      return () => writeFileSync(out, toBinary(ModelProtoSchema, model))
    }
  },
}

/** One round in this process: milliseconds to parse, to write, of CPU for both, and the highest resident memory in MB. */
const round = async (name: string, path: string, out: string): Promise<void> => {
  const contestant = await contestants[name]?.()
  const before_ms = performance.now()
  const cpu = process.cpuUsage()
  const write = contestant?.(path, out)
  const parsed_ms = performance.now()
  write?.()
  const done_ms = performance.now()
  const { user, system } = process.cpuUsage(cpu)
  // Not getrusage: its maximum starts with that of the parent.
  const peak_kb = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
  process.stdout.write(JSON.stringify([parsed_ms - before_ms, done_ms - parsed_ms, (user + system) / 1000, peak_kb / 1024]))
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

const compare = (): void => {
  const folder = mkdtempSync(join(tmpdir(), 'bench-codec-'))
  try {
    const path = join(folder, 'model.onnx')
    writeFileSync(path, synthesise())
    const results = new Map<string, number[][]>(Object.keys(contestants).map((name) => [name, []]))
    for (let count = 0; count < ROUNDS; count++) {
      for (const name of results.keys()) {
        const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), name, path, join(folder, 'out.onnx')], {
          encoding: 'utf8',
        })
        results.get(name)?.push(JSON.parse(child.stdout))
      }
    }
    const table = [...results].map(([name, rounds]) => {
      const [parse_ms = 0, write_ms = 0, cpu_ms = 0, peak_rss_mb = 0] = [0, 1, 2, 3].map(
        (column) => Math.round(median(rounds.map((each) => each[column] ?? 0)) * 10) / 10,
      )
      return {
        name,
        parse_ms,
        write_ms,
        total_ms: Math.round(parse_ms + write_ms),
        cpu_ms: Math.round(cpu_ms),
        peak_rss_mb: Math.round(peak_rss_mb),
      }
    })
    console.log(
      `${Math.round(readFileSync(path).length / 1e6)} MB model, median of ${ROUNDS} processes each, Node ${process.version}`,
    )
    console.table(table)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const [name, path, out] = process.argv.slice(2)
if (name && path && out) await round(name, path, out)
else compare()
