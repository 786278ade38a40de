import { rmSync } from 'node:fs'
import { readModelFile } from '../onnx/codec/read-model.ts'
import type { ModelProto } from '../onnx/codec/schema.ts'
import { writeModelFile } from '../onnx/codec/write-model.ts'
import { normalisedModel } from '../onnx/probe/normalise.ts'

/**
 * Reads a model, its constants folded where the runtime can do that, lets `rewrite` change it and writes the candidate. Answers the
 * notes of `rewrite`; what it throws passes, and nothing is left behind but a candidate that was written whole.
 */
export const rewriteModel = async (
  { model_path, candidate_path }: { model_path: string; candidate_path: string },
  rewrite: (model: ModelProto, is_folded: boolean) => string[] | Promise<string[]>,
): Promise<{ notes: string[] }> => {
  const scratch_path = `${candidate_path}.normalised`
  try {
    const folded = await normalisedModel(model_path, scratch_path)
    const model = folded ?? readModelFile(model_path)
    const notes = await rewrite(model, folded !== undefined)
    writeModelFile(model, candidate_path)
    return { notes }
  } finally {
    rmSync(scratch_path, { force: true })
  }
}
