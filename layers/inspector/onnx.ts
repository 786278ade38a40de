import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import { limited } from '../core/domain/limited.ts'
import { Inspection } from '../core/domain/model.ts'
import type { ModelInspector } from '../core/ports/model-inspector.ts'
import { isRunFault } from '../onnx/evaluate/fault.ts'
import { startGuarded } from '../onnx/evaluate/guarded-process.ts'

const Answer = z.union([
  z.object({ inspection: Inspection }),
  z.object({ fault: z.object({ code: z.string(), detail: z.string() }) }),
])

export interface InspectorOptions {
  /** Wall clock of one inspection; a file of 2 GB takes seconds. */
  timeout_ms?: number
  memory_bytes?: number
  /** Inspections at once; further ones wait in order. */
  concurrency?: number
  child?: URL
}

/**
 * Inspects every file in a process of its own, made for it and gone after it: a file that makes the reader loop, swallow memory
 * or die takes nothing else along, and its upload is refused with what happened.
 */
export const onnxInspector = (options: InspectorOptions = {}): ModelInspector => {
  const child = options.child ?? new URL('./child.ts', import.meta.url)
  const limits = { memory_bytes: options.memory_bytes ?? 2 * 2 ** 30, label: 'Reading the model file' }
  const inTurn = limited(options.concurrency ?? 2)
  return {
    inspect: (path, { framework, file_name }) =>
      inTurn(async () => {
        const apart = startGuarded(child, limits)
        try {
          return read(Answer.parse(await apart.ask({ path, framework, file_name }, options.timeout_ms ?? 120_000)))
        } catch (error) {
          if (!isRunFault(error)) throw error
          throw new PlatformError('invalid_model', error.message, { facts: { reason: error.reason }, cause: error })
        } finally {
          await apart.stop()
        }
      }),
  }
}

const read = (answer: z.infer<typeof Answer>): Inspection => {
  if ('inspection' in answer) return answer.inspection
  const { code, detail } = answer.fault
  if (code === 'internal')
    throw new PlatformError('internal', 'The model file could not be inspected', { cause: new Error(detail) })
  throw new PlatformError('invalid_model', detail, { facts: { reason: code } })
}
