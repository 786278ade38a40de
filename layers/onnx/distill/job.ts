import type { Feeds } from '../evaluate/tensors.ts'
import type { FakeQuantization } from '../train/fake-quantization.ts'
import type { Judgement } from '../train/judge.ts'
import type { OptimizerSpec } from '../train/optimizers.ts'
import type { CurvePoint } from '../train/run.ts'
import type { ScheduleSpec } from '../train/schedules.ts'
import type { StudentSpec } from './students.ts'

/**
 * Where samples come from: an .npz of arrays named as the inputs (one of them may be the labels), feeds of single samples with their
 * classes, or rows made up from a seed.
 */
export type SampleSource =
  | { arrays_path: string; labels?: string | undefined }
  | { rows: readonly Feeds[]; classes?: readonly number[] | undefined }
  | { generated_rows: number }

/** What to train, on what, and how. All of it travels to the process that does it. */
export interface TrainingJob {
  /** The model that is imitated; null when labels alone teach. */
  teacher_path: string | null
  student: StudentSpec
  candidate_path: string
  data: SampleSource
  /** The output to compare; the first one when left out. Both models must have it. */
  output?: string | undefined
  /** `auto`: distillation where the output is class scores or labels are given, else the mean squared error. */
  loss?: 'auto' | 'distillation' | 'cross_entropy' | 'mse' | undefined
  temperature: number
  /** Weight of the teacher against the labels; without labels it is 1, without a teacher 0. */
  alpha: number
  steps: number
  batch: number
  seed: number
  optimizer: OptimizerSpec
  schedule: ScheduleSpec
  batch_norm: 'stored' | 'batch'
  fake_quantization?: FakeQuantization | undefined
  held_out_share: number
  threads: number
  /** Wall-clock milliseconds to plan the steps for; absent: as many as asked. */
  budget_ms?: number | undefined
  /** Where the state of the training is kept, to go on from after it was ended. */
  checkpoint?: { path: string; every_ms: number } | undefined
}

export interface Opened {
  notes: string[]
  loss: 'distillation' | 'cross_entropy' | 'mse'
  /** Samples per step. */
  batch: number
  /** Steps of an earlier run that this one continues. */
  resumed_at: number
  samples: number
  /** How the student does before training on samples that are held out from it. */
  before: Judgement | undefined
}

export interface Advanced {
  step: number
  /** Planned in all. */
  steps: number
  curve: CurvePoint[]
}

export interface Finished {
  /** On the samples held out, of what was written. */
  after: Judgement | undefined
  /** Training had made it worse on the samples held out, so that the student from before it was written. */
  withdrawn: boolean
  size_bytes: number
  learnable_weights: number
}

/** One exchange with the training process: open, advance as often as wanted, finish. */
export type TrainingRequest =
  | { kind: 'open'; job: TrainingJob }
  | { kind: 'advance'; until_step: number; limit_ms: number }
  | { kind: 'finish' }
