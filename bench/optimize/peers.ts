import { execFile, spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import * as z from 'zod'
import type { PeerTool } from './subjects/subject.ts'

/** ONNX Runtime's own quantization tools, in a Python environment of their own below the cache. */

const folder = resolve(import.meta.dirname, '../peers')
/** One order may take so long; static calibration of a large model does. */
const LIMIT_MS = 300_000
/** A file of more than this share of the model's bytes is the model itself, rewritten. */
const UNCHANGED = 0.98

export interface Python {
  path: string
  /** Names and versions, as installed. */
  versions: string
}

/** The environment with the pinned tools, made when it is absent; a sentence where there is no Python or no package index. */
export const pythonTools = async (cache: string): Promise<Python | string> => {
  const root = join(cache, 'peers')
  const path = join(root, 'bin/python')
  const run = promisify(execFile)
  try {
    if (!existsSync(path)) await run('python3', ['-m', 'venv', root])
    const wanted = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', join(folder, 'requirements.txt')]
    await run(path, wanted, { timeout: LIMIT_MS })
    const script =
      'import onnx, onnxruntime, platform; print(f"Python {platform.python_version()}, onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}")'
    return { path, versions: (await run(path, ['-c', script])).stdout.trim() }
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
  }
}

const Answer = z.object({
  ok: z.boolean(),
  error: z.string().optional(),
  tool_s: z.number(),
  import_s: z.number(),
  peak_rss_bytes: z.number(),
  notes: z.array(z.string()),
})

export interface Made {
  tool: PeerTool
  path: string
  size_bytes: number
  /** The tool alone, and with the interpreter and its imports. */
  tool_s: number
  whole_s: number
  peak_rss_bytes: number
}

export interface PeerOrder {
  tool: PeerTool
  model_path: string
  output_path: string
  data_path: string
  rows: number
}

/** The file one tool makes of a model, or why it makes none. */
export const makeByPeer = async (python: Python, order: PeerOrder): Promise<Made | string> => {
  const started = performance.now()
  const child = spawn(python.path, [join(folder, 'quantize.py')], { stdio: ['pipe', 'pipe', 'ignore'], timeout: LIMIT_MS })
  child.stdin.on('error', () => undefined)
  child.stdin.end(JSON.stringify(order))
  const said = await text(child.stdout)
  if (said === '') return 'ended without an answer: out of time or memory'
  const { ok, error, tool_s, peak_rss_bytes } = Answer.parse(JSON.parse(said))
  if (!ok) return error ?? 'failed'
  const whole_s = (performance.now() - started) / 1000
  const size_bytes = statSync(order.output_path).size
  if (size_bytes > UNCHANGED * statSync(order.model_path).size) return 'quantized nothing'
  return { tool: order.tool, path: order.output_path, size_bytes, tool_s, whole_s, peak_rss_bytes }
}
