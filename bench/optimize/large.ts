import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import * as z from 'zod'
import { writeModelFile } from '../../layers/onnx/codec/write-model.ts'
import { makeByPeer, type Python } from './peers.ts'
import { encoder } from './subjects/transformer.ts'

/** A model of 100 MB to dynamic int8, file to file, by ours and by ONNX Runtime's tool: each in a process of its own. */

const RUNS = 3
const Answer = z.object({ work_s: z.number(), peak_rss_bytes: z.number() })

export interface Conversion {
  /** The work alone, and with starting the process and loading the code. */
  work_s: number
  whole_s: number
  peak_rss_bytes: number
}

export interface LargeResult {
  size_bytes: number
  ours: Conversion
  peer?: Conversion
}

export const runLarge = async (cache: string, python: Python | undefined, tell: (line: string) => void): Promise<LargeResult> => {
  const folder = join(cache, 'large')
  mkdirSync(folder, { recursive: true })
  const model_path = join(folder, 'model.onnx')
  if (!existsSync(model_path)) writeModelFile(encoder({ layers: 8, hidden: 384, heads: 12, vocabulary: 30_522 }), model_path)
  const size_bytes = statSync(model_path).size
  const output_path = join(folder, 'int8.onnx')
  const ours = await best(() => convert(model_path, output_path))
  tell(`  ours: ${ours.work_s.toFixed(2)} s`)
  if (!python) return { size_bytes, ours }
  const order = { tool: 'dynamic', model_path, output_path, data_path: '', rows: 0 } as const
  const peer = await best(async () => {
    const made = await makeByPeer(python, order)
    if (typeof made === 'string') throw new Error(`quantize_dynamic: ${made}`)
    return { work_s: made.tool_s, whole_s: made.whole_s, peak_rss_bytes: made.peak_rss_bytes }
  })
  tell(`  onnxruntime's quantize_dynamic: ${peer.work_s.toFixed(2)} s`)
  return { size_bytes, ours, peer }
}

/** The quickest of three: what the work takes when nothing else is in its way. */
const best = async (run: () => Promise<Conversion>): Promise<Conversion> => {
  const runs: Conversion[] = []
  for (let at = 0; at < RUNS; at += 1) runs.push(await run())
  return runs.toSorted((a, b) => a.whole_s - b.whole_s)[0]!
}

const convert = async (model_path: string, output_path: string): Promise<Conversion> => {
  const started = performance.now()
  const entry = resolve(import.meta.dirname, 'convert.ts')
  const child = spawn(process.execPath, [entry, model_path, output_path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const answer = Answer.parse(JSON.parse(await text(child.stdout)))
  return { ...answer, whole_s: (performance.now() - started) / 1000 }
}
