import type { Feeds } from '../onnx/evaluate/tensors.ts'
import { pruneModel } from '../onnx/prune/prune-model.ts'
import { generatedSamples, suppliedSamples } from '../onnx/prune/samples.ts'
import type { Settings } from './structured-pruning.ts'

/** Rows the measurement may look at; calibration takes others where there are enough. */
const MEASURED_ROWS = 128
const FEWEST_OTHER_ROWS = 64
const MOST_ROWS = 4096
/** Generated rows: far from the seeds that the measurement starts at. */
const FIRST_SEED = 10_000
const GENERATED_ROWS = 2048
const GENERATION_MS = 3000

/** Writes the candidate these settings ask for. Fails with OnnxFault where nothing can be removed. */
export const applyStructuredPruning = async ({
  model_path,
  candidate_path,
  calibration_path,
  settings: { sparsity, structure, input_shapes },
}: {
  model_path: string
  candidate_path: string
  calibration_path: string | null
  settings: Settings
}): Promise<{ notes: string[] }> => {
  const zeroing = structure === 'unstructured' || structure === '2:4'
  const { samples, note } = zeroing ? { samples: [] } : await calibration(model_path, calibration_path, input_shapes)
  const { notes } = await pruneModel({ model_path, candidate_path, sparsity, structure, samples })
  return { notes: note ? [...notes, note] : notes }
}

/** Supplied rows that the measurement does not judge by, all of them where they are few, or generated ones. */
async function calibration(
  model_path: string,
  calibration_path: string | null,
  shapes: Record<string, number[]> = {},
): Promise<{ samples: Feeds[]; note?: string }> {
  if (calibration_path === null) {
    const samples = await generatedSamples(model_path, {
      most: GENERATED_ROWS,
      budget_ms: GENERATION_MS,
      first_seed: FIRST_SEED,
      shapes,
    })
    return { samples, note: 'fitted on generated inputs: supply calibration data of the real kind' }
  }
  const rows = await suppliedSamples(model_path, calibration_path, MOST_ROWS)
  const others = rows.slice(MEASURED_ROWS)
  return others.length >= FEWEST_OTHER_ROWS
    ? { samples: others, note: `fitted on ${others.length} supplied rows, judged by the ${MEASURED_ROWS} before` }
    : {
        samples: rows,
        note: `fitted on the ${rows.length} supplied rows it is judged by; more than ${MEASURED_ROWS + FEWEST_OTHER_ROWS} keep them apart`,
      }
}
