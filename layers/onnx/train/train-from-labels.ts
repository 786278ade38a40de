import { loadModel } from '../codec/read-model.ts'
import type { ModelProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'
import { mainGraph } from '../graph/walk.ts'
import { columnOf, labelColumn, trainingData } from './data.ts'
import type { Judgement } from './judge.ts'
import { LABELS } from './losses.ts'
import type { OptimizerSpec } from './optimizers.ts'
import { type CurvePoint, openRun } from './run.ts'
import type { ScheduleSpec } from './schedules.ts'
import { scoresOf } from './scores.ts'

export interface LabelledTraining {
  /** The network to train, or the file it is in. It has one float input and answers scores [batch, classes]. */
  model: ModelProto | string
  /** All samples one after the other, and the shape of one. */
  rows: Float32Array
  row_dims: readonly number[]
  /** Class of every sample, from 0. */
  labels: ArrayLike<number>
  /** Times every sample is seen; a fraction is well. */
  epochs?: number
  batch?: number
  optimizer?: OptimizerSpec
  /** Absent: a tenth of the steps up to `rate`, then a cosine down to nothing. */
  schedule?: ScheduleSpec
  rate?: number
  /** `batch` for networks with BatchNormalization that train from the start, else `stored`. */
  batch_norm?: 'batch' | 'stored'
  /** Share of the samples kept aside to judge by. */
  held_out_share?: number
  seed?: number
  threads?: number
  /** Wall-clock milliseconds after which no further step begins. */
  budget_ms?: number
  on_progress?: (at: { step: number; steps: number; loss: number | undefined }) => void
}

export interface LabelledResult {
  model: ModelProto
  steps: number
  time_ms: number
  curve: CurvePoint[]
  /** Accuracy on what was kept aside; undefined when nothing was. */
  held_out: Judgement | undefined
}

const ROUND_MS = 1000

/**
 * Trains a classifier on labelled samples in this process, whose thread it keeps busy: for models of one's own.
 * @throws OnnxFault unsupported, naming the node that cannot be differentiated; ArrayFault for rows and labels that do not fit
 */
export const trainFromLabels = async (asked: LabelledTraining): Promise<LabelledResult> => {
  const started = performance.now()
  const model = typeof asked.model === 'string' ? loadModel(asked.model) : asked.model
  const data = samplesOf(model, asked)
  const { epochs = 5, batch = 128, seed = 1, threads = 1, rate = 2e-3, budget_ms = Number.POSITIVE_INFINITY } = asked
  const held_out_share = asked.held_out_share ?? 0
  const steps = Math.max(1, Math.round((epochs * data.samples * (1 - held_out_share)) / batch))
  const run = await openRun(model, data, {
    loss: { kind: 'cross_entropy' },
    output: scoresOf(model).name,
    optimizer: asked.optimizer ?? { kind: 'adam' },
    schedule: asked.schedule ?? { kind: 'cosine', rate, warm_up_steps: Math.ceil(steps / 10) },
    batch_norm: asked.batch_norm,
    steps,
    batch,
    seed,
    held_out_share,
    threads,
  })
  try {
    const curve: CurvePoint[] = []
    let step = 0
    while (step < steps && performance.now() - started < budget_ms) {
      const limit_ms = Math.min(ROUND_MS, budget_ms - (performance.now() - started))
      const round = await run.advance(steps, limit_ms)
      step = round.step
      curve.push(...round.curve)
      asked.on_progress?.({ step, steps, loss: curve.at(-1)?.loss })
    }
    const { model: trained, held_out } = await run.result()
    return { model: trained, steps: step, time_ms: Math.round(performance.now() - started), curve, held_out }
  } finally {
    await run.release()
  }
}

const samplesOf = (model: ModelProto, { rows, row_dims, labels }: LabelledTraining) => {
  const [input, ...others] = mainGraph(model).input
  if (!input || others.length > 0)
    throw new OnnxFault('unsupported', `The model has ${others.length + Number(input !== undefined)} inputs; wanted one`)
  const bytes = (array: Float32Array | BigInt64Array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  const classes = BigInt64Array.from({ length: labels.length }, (_, at) => BigInt(labels[at]!))
  return trainingData({
    [input.name ?? '']: columnOf('rows', { type: 'float32', dims: [labels.length, ...row_dims], bytes: bytes(rows) }),
    [LABELS]: labelColumn('labels', { type: 'int64', dims: [labels.length], bytes: bytes(classes) }),
  })
}
