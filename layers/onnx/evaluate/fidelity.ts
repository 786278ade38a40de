import { type ClassOutput, decisionMeter } from './decisions.ts'
import { divergenceMeter } from './divergence.ts'
import { numbersOf, sameShape, type TensorValue } from './tensors.ts'

/** Beyond this two outputs are as good as identical, below the negative of it one of them is broken; JSON has no infinity. */
const DB_LIMIT = 200

/** How near candidate outputs are to the original's, over all rows so far. */
export interface FidelityFigures {
  /** 10·log10(signal energy ÷ error energy), the lowest over float outputs; null when there is none or it never was non-zero. */
  sqnr_db: number | null
  cosine: number | null
  max_abs_error: number | null
  /** Share of class decisions that agree, 0–1; null without a class output. */
  top1_agreement: number | null
  rows: number
  /** Decisions compared: rows, or more where a class output decides per position. */
  decisions: number
  /** Different answers among the original's decisions, counted up to 100: agreement on a single one proves little. */
  classes_seen: number
  /** Mean nats from the original's class probabilities to the candidate's; null without scores of classes. */
  kl_divergence: number | null
}

interface Sums {
  signal: number
  error: number
  dot: number
  candidate: number
  max_abs_error: number
  broken: boolean
}

type Outputs = Readonly<Record<string, TensorValue>>

export interface FidelityMeter {
  add(original: Outputs, candidate: Outputs): void
  figures(): FidelityFigures
}

/** Adds up row after row, so that no output has to be kept. */
export function fidelityMeter(class_output?: ClassOutput): FidelityMeter {
  const sums = new Map<string, Sums>()
  const decisions = decisionMeter(class_output)
  const divergence = divergenceMeter(class_output)
  let rows = 0
  return {
    add(original, candidate) {
      rows += 1
      for (const [name, wanted] of Object.entries(original)) {
        const got = candidate[name]
        if (wanted.type.startsWith('float')) addFloats(sumsOf(sums, name), wanted, got)
        decisions.add(name, wanted, got)
        divergence.add(name, wanted, got)
      }
    },
    figures: () => ({ ...summary([...sums.values()]), ...decisions.figures(), ...divergence.figures(), rows }),
  }
}

function sumsOf(all: Map<string, Sums>, name: string): Sums {
  const known = all.get(name) ?? { signal: 0, error: 0, dot: 0, candidate: 0, max_abs_error: 0, broken: false }
  all.set(name, known)
  return known
}

function addFloats(sums: Sums, wanted: TensorValue, got: TensorValue | undefined): void {
  const left = numbersOf(wanted)
  const right = sameShape(wanted, got) ? numbersOf(got) : undefined
  if (!left || !right) {
    sums.broken = true
    return
  }
  for (let at = 0; at < left.length; at += 1) {
    const a = left[at] ?? 0
    const b = right[at] ?? 0
    // Where the original itself is not finite there is nothing to be faithful to.
    if (!Number.isFinite(a)) continue
    if (!Number.isFinite(b)) sums.broken = true
    const error = Math.abs(a - b)
    sums.signal += a * a
    sums.candidate += b * b
    sums.dot += a * b
    sums.error += error * error
    if (error > sums.max_abs_error) sums.max_abs_error = error
  }
}

function sqnrOf(sums: Sums): number | null {
  if (sums.broken) return -DB_LIMIT
  if (sums.error === 0) return sums.signal === 0 ? null : DB_LIMIT
  if (sums.signal === 0) return -DB_LIMIT
  return Math.max(-DB_LIMIT, Math.min(DB_LIMIT, 10 * Math.log10(sums.signal / sums.error)))
}

const cosineOf = (sums: Sums): number | null =>
  sums.broken ? 0 : sums.signal > 0 && sums.candidate > 0 ? sums.dot / Math.sqrt(sums.signal * sums.candidate) : null

const lowest = (values: (number | null)[]): number | null => {
  const known = values.filter((value) => value !== null)
  return known.length > 0 ? Math.min(...known) : null
}

function summary(all: Sums[]): Pick<FidelityFigures, 'sqnr_db' | 'cosine' | 'max_abs_error'> {
  return {
    sqnr_db: lowest(all.map(sqnrOf)),
    cosine: lowest(all.map(cosineOf)),
    max_abs_error:
      all.length === 0 || all.some((sums) => sums.broken) ? null : Math.max(...all.map((sums) => sums.max_abs_error)),
  }
}
