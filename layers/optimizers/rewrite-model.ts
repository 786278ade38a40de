import { rmSync, statSync } from 'node:fs'
import { readModelFile } from '../onnx/codec/read-model.ts'
import type { ModelProto } from '../onnx/codec/schema.ts'
import { writeModelFile } from '../onnx/codec/write-model.ts'
import { isOnnxFault } from '../onnx/fault.ts'
import { foldConstants } from '../onnx/graph/fold-constants.ts'
import { simplify } from '../onnx/graph/simplify.ts'
import { normalisedModel } from '../onnx/probe/normalise.ts'

/** Larger files are not rewritten by the runtime, which holds every weight three times while it does. */
const MOST_REWRITTEN_BYTES = 64 * 2 ** 20

/** By the runtime's own rewrites, or, where they take too much memory, its constants alone, weight by weight; undefined where neither can. */
async function foldedModel(model_path: string, scratch_path: string): Promise<ModelProto | undefined> {
  if (statSync(model_path).size <= MOST_REWRITTEN_BYTES) return normalisedModel(model_path, scratch_path)
  const model = readModelFile(model_path)
  try {
    await foldConstants(model)
    return model
  } catch (error) {
    if (isOnnxFault(error, 'unsupported')) return undefined
    throw error
  }
}

/**
 * Reads a model, its constants folded where the runtime can do that and simplified, lets `rewrite` change it and writes the candidate.
 * `original` is the model as it was uploaded, for the names that callers know. Answers the notes of `rewrite`; what it throws passes, and nothing is
 * left behind but a candidate that was written whole.
 */
export const rewriteModel = async (
  { model_path, candidate_path }: { model_path: string; candidate_path: string },
  rewrite: (model: ModelProto, is_folded: boolean, original: ModelProto) => string[] | Promise<string[]>,
): Promise<{ notes: string[] }> => {
  const scratch_path = `${candidate_path}.normalised`
  try {
    const original = readModelFile(model_path)
    const folded = await foldedModel(model_path, scratch_path)
    const model = folded ?? readModelFile(model_path)
    const simplified = simplify(model)
    const notes = await rewrite(model, folded !== undefined, original)
    writeModelFile(model, candidate_path)
    return { notes: simplified > 0 ? [...notes, `${simplified} operators folded into their neighbours`] : notes }
  } finally {
    rmSync(scratch_path, { force: true })
  }
}
