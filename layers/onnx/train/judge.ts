import type { ModelProto } from '../codec/schema.ts'
import type { Column, TrainingData } from './data.ts'
import { type FakeQuantization, quantizedForm } from './fake-quantization.ts'
import { LABELS, TEACHER } from './losses.ts'
import { startPredictor } from './predict.ts'

/** How a model does on samples it did not learn from. Shares are of rows (positions count singly). */
export interface Judgement {
  samples: number
  /** Rows where the highest score is the label's. */
  accuracy?: number
  /** Rows where the highest score is the teacher's. */
  agreement?: number
  /** Mean squared difference from the teacher's values. */
  teacher_mse?: number
}

export interface JudgePlan {
  output: string
  batch: number
  threads: number
  fake_quantization?: FakeQuantization | undefined
}

const floatsOf = ({ bytes }: Column): Float32Array => {
  const copy = bytes.slice()
  return new Float32Array(copy.buffer)
}

const winners = (scores: Float32Array, classes: number): number[] => {
  const best: number[] = []
  for (let start = 0; start < scores.length; start += classes) {
    let at = 0
    for (let each = 1; each < classes; each++) if (scores[start + each]! > scores[start + at]!) at = each
    best.push(at)
  }
  return best
}

const share = (got: readonly number[], wanted: readonly number[]): number =>
  got.reduce((count, value, at) => count + Number(value === wanted[at]), 0) / got.length

const picked = (column: Column, samples: readonly number[]): Column => {
  const bytes = new Uint8Array(samples.length * column.sample_bytes)
  for (const [at, sample] of samples.entries())
    bytes.set(column.bytes.subarray(sample * column.sample_bytes, (sample + 1) * column.sample_bytes), at * column.sample_bytes)
  return { ...column, bytes }
}

const labelsOf = (column: Column): number[] => Array.from(new BigInt64Array(column.bytes.slice().buffer), Number)

/**
 * Runs the model over the samples and compares with labels and teacher, as far as the data hold them; quantized as training imitates
 * it, where it does.
 */
export const judge = async (
  model: ModelProto,
  data: TrainingData,
  samples: readonly number[],
  { output, batch, threads, fake_quantization }: JudgePlan,
): Promise<Judgement> => {
  const judged = fake_quantization ? quantizedForm(model, fake_quantization) : model
  const predictor = await startPredictor(judged, output, data, { batch: Math.min(batch, samples.length), threads })
  try {
    const got = await predictor.predict(data, samples)
    const values = floatsOf(got)
    const classes = got.dims.at(-1) ?? 1
    const result: Judgement = { samples: samples.length }
    const labels = data.columns[LABELS]
    const teacher = data.columns[TEACHER]
    if (labels) result.accuracy = share(winners(values, classes), labelsOf(picked(labels, samples)))
    if (!teacher) return result
    const wanted = floatsOf(picked(teacher, samples))
    if (classes > 1) result.agreement = share(winners(values, classes), winners(wanted, classes))
    result.teacher_mse = values.reduce((sum, value, at) => sum + (value - wanted[at]!) ** 2, 0) / values.length
    return result
  } finally {
    await predictor.release()
  }
}
