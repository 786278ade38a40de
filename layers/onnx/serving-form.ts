import { rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isRunFault } from './evaluate/fault.ts'
import { startGuarded } from './evaluate/guarded-process.ts'
import { OnnxFault, type OnnxFaultCode } from './fault.ts'

/** Writing 2 GB to a slow disk takes minutes; loading them some seconds. */
const LIMIT_MS = 600_000
/** Weights go from file to file and are mapped; what stays in memory is the graph, and one tensor at a time stored as numbers. */
const MEMORY_BYTES = 4 * 2 ** 30

const entry = new URL('./serving-form-child.ts', import.meta.url)

export interface ServingForm {
  /** The graph; its weights lie beside it. */
  model_path: string
  /** Everything that was written, absolute or relative as `out_dir` is. */
  files: string[]
}

export interface FormRequest {
  /** Absolute. */
  model_path: string
  out_dir: string
}

type Answer =
  | { ok: true }
  | { ok: false; kind: 'model'; code: OnnxFaultCode; detail: string }
  | { ok: false; kind: 'system'; code?: string; detail: string }

/**
 * Copies a model into `out_dir` as `model.onnx` with its large weights page-aligned in `weights.bin`, so that the runtime maps them
 * (loading 80 MB: about 27 ms instead of 267) and instances share them. A process of its own writes it and loads it once: neither a
 * hostile graph nor two gigabytes of copying stop the caller's thread.
 *
 * @throws OnnxFault external_data_missing for a model whose weights are elsewhere; unsupported when the runtime refuses the model or
 *   it takes too much memory or time; what `readModelFile` throws; an Error with the system's `code` when the disk fails
 */
export const writeServingForm = async (model_path: string, out_dir: string): Promise<ServingForm> => {
  const files = [join(out_dir, 'model.onnx'), join(out_dir, 'weights.bin')]
  const child = startGuarded(entry, { memory_bytes: MEMORY_BYTES, label: 'Writing the serving form' })
  try {
    const request: FormRequest = { model_path: resolve(model_path), out_dir: resolve(out_dir) }
    // Both ends are this folder's code.
    const answer = (await child.ask(request, LIMIT_MS)) as Answer
    if (!answer.ok)
      throw answer.kind === 'model'
        ? new OnnxFault(answer.code, answer.detail)
        : Object.assign(new Error(answer.detail), { code: answer.code })
    return { model_path: join(out_dir, 'model.onnx'), files }
  } catch (error) {
    await child.stop()
    for (const file of files) rmSync(file, { force: true })
    throw isRunFault(error) ? new OnnxFault('unsupported', error.message, error) : error
  } finally {
    await child.stop()
  }
}
