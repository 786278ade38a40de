import { availableParallelism } from 'node:os'
import type { OptimizerInput } from '../core/ports/optimizer.ts'
import { pruneAndTune } from '../onnx/distill/tuned-pruning.ts'
import { type FitRows, fitRows } from '../onnx/evaluate/split.ts'
import { pruneModel } from '../onnx/prune/prune-model.ts'
import { CHECKPOINT_MS, checkpointPlace } from './checkpoint-place.ts'
import { classesOf } from './classes-of.ts'
import type { Settings } from './structured-pruning.ts'
import { TRAINING_ROWS } from './training-options.ts'

/** Rows that choose channels and fit layers. */
const FITTING_ROWS = { most: 4096, most_bytes: 256 * 2 ** 20 }
const GENERATED_ROWS = 2048

/** Writes the candidate these settings ask for. Fails with OnnxFault where nothing can be removed. */
export async function applyStructuredPruning({
  model_path,
  candidate_path,
  calibration_path,
  evaluation_path = null,
  checkpoint_dir,
  settings,
}: Omit<OptimizerInput, 'settings'> & { settings: Settings }): Promise<{ notes: string[] }> {
  const { sparsity, structure, input_shapes, fine_tune_s, rounds = 1 } = settings
  const common = { model_path, candidate_path, sparsity, structure }
  if (structure === 'unstructured' || structure === '2:4') return pruneModel({ ...common, samples: [] })
  const supplied = calibration_path !== null || evaluation_path !== null
  const limits = fine_tune_s === undefined ? FITTING_ROWS : TRAINING_ROWS
  const data = await fitRows({
    ...{ model_path, calibration_path, evaluation_path, shapes: input_shapes },
    ...(supplied ? limits : { ...limits, most: GENERATED_ROWS }),
  })
  const samples = fitting(data)
  if (fine_tune_s === undefined) {
    const { notes } = await pruneModel({ ...common, samples })
    return { notes: [...notes, data.note] }
  }
  const kept = await checkpointPlace(checkpoint_dir, { optimizer: 'structured-pruning', settings, model_path })
  const { notes } = await pruneAndTune({
    ...common,
    samples,
    rows: data.samples,
    classes: classesOf(data),
    rounds,
    fine_tune_ms: fine_tune_s * 1000,
    threads: Math.min(4, availableParallelism()),
    checkpoint: (round) => {
      const path = kept.file(`round-${round}.state`)
      return path ? { path, every_ms: CHECKPOINT_MS } : undefined
    },
  })
  kept.done()
  return { notes: [...notes, data.note] }
}

/** Rows come in an order whose every beginning is a fair sample. */
const fitting = ({ samples }: FitRows): FitRows['samples'] => samples.slice(0, FITTING_ROWS.most)
