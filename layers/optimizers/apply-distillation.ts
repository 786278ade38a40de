import { rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { OptimizerInput } from '../core/ports/optimizer.ts'
import { trainHere, trainingNote } from '../onnx/distill/in-process.ts'
import { startingStudent } from '../onnx/distill/starting-student.ts'
import type { StudentSpec } from '../onnx/distill/students.ts'
import { fitRows } from '../onnx/evaluate/split.ts'
import { CHECKPOINT_MS, checkpointPlace } from './checkpoint-place.ts'
import { classesOf } from './classes-of.ts'
import type { Settings } from './distillation.ts'
import { TRAINING_ROWS } from './training-options.ts'

const MOST_EPOCHS = 60
const BATCH = 128
const RATE = 2e-3
/** Students that start with weights fitted to what they should answer need no large steps. */
const FITTED_RATE = 1e-3
/** Made-up rows: what is learned from them is soon all there is to learn. */
const MOST_GENERATED = 4096

/** Writes the candidate these settings ask for. Fails with OnnxFault where no student can be derived or trained. */
export async function applyDistillation({
  model_path,
  candidate_path,
  calibration_path,
  evaluation_path = null,
  checkpoint_dir,
  settings,
}: Omit<OptimizerInput, 'settings'> & { settings: Settings }): Promise<{ notes: string[] }> {
  const { student: wanted, budget_s, epochs = MOST_EPOCHS, temperature, alpha, learning_rate, input_shapes } = settings
  const supplied = calibration_path !== null || evaluation_path !== null
  const limits = supplied ? TRAINING_ROWS : { ...TRAINING_ROWS, most: MOST_GENERATED }
  const data = await fitRows({ model_path, calibration_path, evaluation_path, shapes: input_shapes, ...limits })
  const classes = classesOf(data)
  const kept = await checkpointPlace(checkpoint_dir, { optimizer: 'distillation', settings, model_path })
  const student_path = kept.file('student.onnx') ?? `${candidate_path}.student`
  const state_path = kept.file('training.state')
  try {
    const start = await startingStudent({ model_path, student_path, wanted, samples: data.samples })
    const student: StudentSpec = { kind: 'given', model_path: student_path }
    const batch = Math.min(BATCH, data.samples.length)
    const rate = learning_rate ?? (start.fitted ? FITTED_RATE : RATE)
    const trained = await trainHere(
      {
        candidate_path,
        data: { rows: data.samples, classes },
        temperature,
        alpha,
        batch,
        steps: Math.max(1, Math.ceil((epochs * data.samples.length) / batch)),
        budget_ms: budget_s * 1000,
        threads: Math.min(4, availableParallelism()),
        checkpoint: state_path ? { path: state_path, every_ms: CHECKPOINT_MS } : undefined,
      },
      model_path,
      student,
      rate,
    )
    const taught = classes ? `taught by the model and ${classes.length} labels` : 'taught by the model alone'
    kept.done()
    return { notes: [...start.notes, `${trainingNote(trained)}; ${taught}`, data.note] }
  } finally {
    if (state_path === undefined) rmSync(student_path, { force: true })
  }
}
