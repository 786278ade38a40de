import { rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { OptimizerInput } from '../core/ports/optimizer.ts'
import { trainHere, trainingNote } from '../onnx/distill/in-process.ts'
import { fitRows } from '../onnx/evaluate/split.ts'
import { OnnxFault } from '../onnx/fault.ts'
import { applyDynamicInt8 } from './apply-dynamic-int8.ts'
import { applyStaticInt8 } from './apply-static-int8.ts'
import { CHECKPOINT_MS, checkpointPlace } from './checkpoint-place.ts'
import { classesOf } from './classes-of.ts'
import type { Settings } from './quantization-aware-training.ts'
import { TRAINING_ROWS } from './training-options.ts'

const BATCH = 128
const MOST_EPOCHS = 20
/** The weights are where they should be, but for the rounding. */
const RATE = 2e-4
const BITS = { s7: 7, s8: 8, u8: 8 }

/**
 * Writes the candidate these settings ask for: trained towards the original's answers while the loss sees int8, then made int8.
 * Fails with OnnxFault where a node cannot be differentiated, by its name, or nothing can become int8.
 */
export async function applyQuantizationAwareTraining({
  settings,
  checkpoint_dir,
  evaluation_path = null,
  ...paths
}: Omit<OptimizerInput, 'settings'> & { settings: Settings }): Promise<{ notes: string[] }> {
  const { model_path, candidate_path, calibration_path } = paths
  const { form, weight_type, budget_s, learning_rate } = settings
  const data = await fitRows({ model_path, calibration_path, evaluation_path, ...TRAINING_ROWS })
  if (data.inputs === 'generated')
    throw new OnnxFault('unsupported', 'Training wants rows of the real kind: supply calibration_data or evaluation_data')
  const kept = await checkpointPlace(checkpoint_dir, { optimizer: 'quantization-aware-training', settings, model_path })
  const state_path = kept.file('training.state')
  const trained_path = `${candidate_path}.trained`
  const batch = Math.min(BATCH, data.samples.length)
  try {
    const trained = await trainHere(
      {
        candidate_path: trained_path,
        data: { rows: data.samples, classes: classesOf(data) },
        batch,
        steps: Math.ceil((MOST_EPOCHS * data.samples.length) / batch),
        budget_ms: budget_s * 1000,
        quantization_aware: { weight_bits: BITS[weight_type], activations: true },
        threads: Math.min(4, availableParallelism()),
        checkpoint: state_path ? { path: state_path, every_ms: CHECKPOINT_MS } : undefined,
      },
      model_path,
      { kind: 'given', model_path },
      learning_rate ?? RATE,
    )
    const files = { model_path: trained_path, candidate_path }
    const { notes } =
      form === 'dynamic'
        ? await applyDynamicInt8({ ...files, settings: { weight_type, conv: 'dense', gather: true } })
        : await applyStaticInt8({
            ...files,
            calibration_path,
            evaluation_path,
            settings: { operators: 'all', weight_type, activation_type: weight_type === 's8' ? 's8' : 'u8' },
          })
    kept.done()
    return { notes: [`rounded while trained: ${trainingNote(trained)}`, ...notes] }
  } finally {
    rmSync(trained_path, { force: true })
  }
}
