import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import type { FakeQuantization } from '../train/fake-quantization.ts'
import type { OptimizerSpec } from '../train/optimizers.ts'
import type { ScheduleSpec } from '../train/schedules.ts'
import type { SampleSource, TrainingJob } from './job.ts'
import type { StudentSpec } from './students.ts'
import { type Trained, type TrainingOptions, trainApart } from './train-apart.ts'

export interface CommonOptions extends TrainingOptions {
  candidate_path: string
  data: SampleSource
  output?: string | undefined
  loss?: TrainingJob['loss']
  steps?: number | undefined
  batch?: number | undefined
  seed?: number | undefined
  temperature?: number | undefined
  alpha?: number | undefined
  optimizer?: OptimizerSpec | undefined
  schedule?: ScheduleSpec | undefined
  batch_norm?: TrainingJob['batch_norm'] | undefined
  /**
   * Quantization-aware: the loss sees rounded weights (and activations); the candidate stays float, to be quantized afterwards. `before`
   * and `after` are then of the quantized form.
   */
  quantization_aware?: FakeQuantization | undefined
  held_out_share?: number | undefined
  threads?: number | undefined
  /** Steps are planned to fit this time; `limits.budget_ms` only ends them. */
  budget_ms?: number | undefined
  /** Where the state is kept about every so often; the same call goes on from there after its process was ended. */
  checkpoint?: TrainingJob['checkpoint']
}

export interface DistilOptions extends CommonOptions {
  teacher_path: string
  student: StudentSpec
}

export interface FineTuneOptions extends CommonOptions {
  /** The model to go on with, for example a pruned one. */
  model_path: string
  /** The model it should behave like, for example the one before pruning. Without it the data must hold labels. */
  teacher_path?: string | undefined
}

/** Weights of a derived student are far from where they should be; those of a pruned or quantized model are near. */
const DISTIL_RATE = 1e-3
const FINE_TUNE_RATE = 2e-4
const WARM_UP_SHARE = 0.05

export const jobOf = (options: CommonOptions, teacher_path: string | null, student: StudentSpec, rate: number): TrainingJob => {
  const steps = options.steps ?? 1000
  return {
    // The process that trains stands in another folder.
    teacher_path: teacher_path === null ? null : resolve(teacher_path),
    student: student.kind === 'given' ? { ...student, model_path: resolve(student.model_path) } : student,
    candidate_path: resolve(options.candidate_path),
    data: 'arrays_path' in options.data ? { ...options.data, arrays_path: resolve(options.data.arrays_path) } : options.data,
    output: options.output,
    loss: options.loss ?? 'auto',
    temperature: options.temperature ?? 3,
    alpha: options.alpha ?? 0.9,
    steps,
    batch: options.batch ?? 64,
    seed: options.seed ?? 1,
    optimizer: options.optimizer ?? { kind: 'adam', clip_norm: 5 },
    schedule: options.schedule ?? { kind: 'cosine', rate, warm_up_steps: Math.round(steps * WARM_UP_SHARE), floor: 0.01 },
    batch_norm: options.batch_norm ?? 'stored',
    fake_quantization: options.quantization_aware,
    held_out_share: options.held_out_share ?? 0.1,
    threads: options.threads ?? Math.min(4, availableParallelism()),
    budget_ms: options.budget_ms,
    checkpoint: options.checkpoint && { ...options.checkpoint, path: resolve(options.checkpoint.path) },
  }
}

/**
 * Trains a smaller model to answer as the teacher does and writes it to `candidate_path`. Without labels the teacher alone teaches.
 * Runs in a process of its own with limits; stops at the time budget with what was learned by then. The same seed gives the same
 * student, batches and, on the same machine, weights.
 *
 * @throws OnnxFault unsupported (an operator without gradient by node name, a family with nothing to derive), ArrayFault for data that
 *   do not fit, RunFault for a process beyond its limits
 * Source: Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, arXiv 1503.02531.
 */
export const distil = (options: DistilOptions): Promise<Trained> =>
  trainApart(jobOf(options, options.teacher_path, options.student, DISTIL_RATE), options)

/** Trains a model further: a pruned one towards the one it came from, or on labels, or made used to int8. What `distil` throws. */
export const fineTune = (options: FineTuneOptions): Promise<Trained> => {
  const student: StudentSpec = { kind: 'given', model_path: options.model_path }
  return trainApart(jobOf(options, options.teacher_path ?? null, student, FINE_TUNE_RATE), options)
}
