import type { ClassOutput } from './decisions.ts'
import { numbersOf, sameShape, type TensorValue } from './tensors.ts'

/** A class the candidate holds impossible counts as this likely: else a single one would make the mean infinite. */
const FLOOR = 1e-12
const SUM_TOLERANCE = 1e-3

interface DivergenceMeter {
  add(name: string, wanted: TensorValue, got: TensorValue | undefined): void
  figures(): { kl_divergence: number | null }
}

/**
 * Kullback–Leibler divergence of the candidate's class probabilities from the original's, in nats, mean over decisions. Outputs
 * are those that decide by scores (see `ClassOutput`); rows that are no probabilities pass through softmax first.
 */
export function divergenceMeter(class_output: ClassOutput): DivergenceMeter {
  let sum = 0
  let decisions = 0
  return {
    add(name, wanted, got) {
      const classes = wanted.dims.at(-1) ?? 0
      const declared = class_output === name
      if (class_output === null || (class_output !== undefined && !declared) || !wanted.type.startsWith('float')) return
      if (classes < 2 || (!declared && wanted.dims.length !== 2)) return
      const left = numbersOf(wanted)
      if (!left) return
      const right = sameShape(wanted, got) ? numbersOf(got) : undefined
      for (let start = 0; start < left.length; start += classes) {
        const nats = divergence(left.subarray(start, start + classes), right?.subarray(start, start + classes))
        if (Number.isNaN(nats)) continue
        sum += nats
        decisions += 1
      }
    },
    figures: () => ({ kl_divergence: decisions > 0 ? sum / decisions : null }),
  }
}

function divergence(wanted: Float64Array, got: Float64Array | undefined): number {
  const shares = areShares(wanted)
  const p = shares ? wanted : softmax(wanted)
  const q = got && (shares ? normalised(got) : softmax(got))
  let nats = 0
  for (let at = 0; at < p.length; at += 1) {
    const likely = p[at] ?? 0
    const other = q?.[at] ?? 0
    if (likely > 0 || Number.isNaN(likely)) nats += likely * Math.log(likely / (other > FLOOR ? other : FLOOR))
  }
  return Math.max(0, nats)
}

function areShares(values: Float64Array): boolean {
  let sum = 0
  for (const value of values) {
    if (!(value >= 0)) return false
    sum += value
  }
  return Math.abs(sum - 1) < SUM_TOLERANCE
}

function normalised(values: Float64Array): Float64Array {
  const positive = values.map((value) => (value > 0 ? value : 0))
  const sum = positive.reduce((all, value) => all + value, 0)
  return positive.map((value) => value / (sum || 1))
}

function softmax(values: Float64Array): Float64Array {
  const highest = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY)
  return normalised(values.map((value) => Math.exp(value - highest)))
}
