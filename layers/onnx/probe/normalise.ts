import { statSync } from 'node:fs'
import { InferenceSession } from 'onnxruntime-node'
import { readModelFile } from '../codec/read-model.ts'
import type { ModelProto } from '../codec/schema.ts'
import { dropUnused } from '../graph/edit.ts'
import { settleIrVersion, stripUnusedDomains } from '../graph/opsets.ts'

/** Folding constants may write out what was computed; a file that grows by more than this is not worth having. */
const MOST_GROWTH = 1.1

/**
 * The model after onnxruntime's own `basic` rewrites: constants folded, batch normalisation inside convolutions, transposed
 * weights stored as they are used. Portable operators only (`extended` and up are specific to the CPU). Runs in this
 * process, which for foreign models must be one that may die. Weights stay in `scratch_path`, which must stay as long as the model.
 * Answers undefined when the rewritten model is much larger or cannot be made.
 */
export async function normalisedModel(model_path: string, scratch_path: string): Promise<ModelProto | undefined> {
  try {
    const session = await InferenceSession.create(model_path, {
      executionProviders: ['cpu'],
      graphOptimizationLevel: 'basic',
      optimizedModelFilePath: scratch_path,
      intraOpNumThreads: 1,
      logSeverityLevel: 4,
      // Nothing is run, so weights need no second copy in the layout of the kernels.
      extra: { session: { disable_prepacking: '1' } },
    })
    await session.release()
    if (statSync(scratch_path).size > MOST_GROWTH * statSync(model_path).size) return undefined
    const model = readModelFile(scratch_path)
    stripUnusedDomains(model)
    dropUnused(model)
    settleIrVersion(model)
    return model
  } catch {
    // Too large for one protobuf, or a model that the runtime will refuse later with a better message.
    return undefined
  }
}
