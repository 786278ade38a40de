import * as z from 'zod'
import { dieWithParent } from '../onnx/evaluate/orphan-guard.ts'
import { isOnnxFault } from '../onnx/fault.ts'
import { inspectFile } from '../onnx/inspect/inspect-file.ts'
import { describeDataset } from './describe-dataset.ts'

/**
 * The process in which one untrusted file is read. Asked once: `{id, path, framework, file_name}` → `{id, inspection}`, or
 * `{id, dataset}` → `{id, content}`; or `{id, fault}`.
 */
const Question = z.union([
  z.object({
    id: z.number(),
    path: z.string(),
    framework: z.enum(['onnx', 'tensorflow', 'pytorch']),
    file_name: z.string(),
  }),
  z.object({ id: z.number(), dataset: z.string() }),
])

const answer = async (question: z.infer<typeof Question>): Promise<object> => {
  try {
    if ('dataset' in question) return { content: await describeDataset(question.dataset) }
    const { path, framework, file_name } = question
    return { inspection: await inspectFile(path, { framework, file_name }) }
  } catch (error) {
    if (isOnnxFault(error)) return { fault: { code: error.code, detail: error.detail } }
    return { fault: { code: 'internal', detail: error instanceof Error ? (error.stack ?? error.message) : String(error) } }
  }
}

dieWithParent()
process.on('message', async (message) => {
  const question = Question.parse(message)
  process.send?.({ id: question.id, ...(await answer(question)) })
})
