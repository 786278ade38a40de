import * as z from 'zod'
import { type ErrorCode, PlatformError } from '../core/contract/errors.ts'
import { DatasetContent } from '../core/domain/dataset.ts'
import { limited } from '../core/domain/limited.ts'
import { Inspection } from '../core/domain/model.ts'
import type { ModelInspector } from '../core/ports/model-inspector.ts'
import { isRunFault } from '../onnx/evaluate/fault.ts'
import { startGuarded } from '../onnx/evaluate/guarded-process.ts'

const Fault = z.object({ fault: z.object({ code: z.string(), detail: z.string() }) })

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
  const inTurn = limited(options.concurrency ?? 2)
  const ask = <Answer extends z.ZodType>(
    question: object,
    { refused, noun, answer }: { refused: ErrorCode; noun: string; answer: Answer },
  ) =>
    inTurn(async () => {
      const apart = startGuarded(child, { memory_bytes: options.memory_bytes ?? 2 * 2 ** 30, label: `Reading the ${noun} file` })
      try {
        const given = await apart.ask(question, options.timeout_ms ?? 120_000)
        const { data } = Fault.safeParse(given)
        if (data) throw faultOf(data.fault, refused, noun)
        return answer.parse(given)
      } catch (error) {
        if (!isRunFault(error)) throw error
        throw new PlatformError(refused, error.message, { facts: { reason: error.reason }, cause: error })
      } finally {
        await apart.stop()
      }
    })
  return {
    inspect: async (path, { framework, file_name }) => {
      const answer = z.object({ inspection: Inspection })
      return (await ask({ path, framework, file_name }, { refused: 'invalid_model', noun: 'model', answer })).inspection
    },
    describeDataset: async (path) => {
      const answer = z.object({ content: DatasetContent })
      return (await ask({ dataset: path }, { refused: 'invalid_request', noun: 'dataset', answer })).content
    },
  }
}

const faultOf = ({ code, detail }: { code: string; detail: string }, refused: ErrorCode, noun: string): PlatformError => {
  if (code === 'internal')
    return new PlatformError('internal', `The ${noun} file could not be inspected`, { cause: new Error(detail) })
  return new PlatformError(refused, detail, { facts: { reason: code } })
}
