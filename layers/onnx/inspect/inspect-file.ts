import { OnnxFault } from '../fault.ts'
import { recognise } from '../formats/recognise.ts'
import { inspectOnnx } from './inspect-onnx.ts'
import type { FileInspection, Framework } from './inspection.ts'

/**
 * Reads one uploaded file and tells what it holds, or what is wrong with it. Constant memory, whatever the file's size; nothing in
 * the file is executed. Meant to run in a process of its own with a time limit, because the file is untrusted.
 *
 * 1. recognise the format by content
 * 2. compare it with what was declared
 * 3. for ONNX: parse, check, describe
 *
 * @throws OnnxFault, any code
 */
export const inspectFile = async (
  path: string,
  declared: { framework: Framework; file_name: string },
): Promise<FileInspection> => {
  const { format, framework, details } = recognise(path)
  if (framework === null ? declared.framework === 'onnx' : framework !== declared.framework) {
    const name = JSON.stringify(declared.file_name.slice(0, 200))
    const holds = framework === null ? format : `${format} (framework "${framework}")`
    throw new OnnxFault('framework_mismatch', `Declared framework "${declared.framework}", but ${name} holds ${holds}`)
  }
  return format === 'onnx' ? inspectOnnx(path) : { format, ...details }
}
