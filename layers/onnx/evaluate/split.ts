import { InferenceSession } from 'onnxruntime-node'
import { type Label, openDataset, type RowSet } from './dataset.ts'
import { generatedSamples } from './generated-samples.ts'
import type { ShapeHints } from './inputs.ts'
import { portOf } from './session-tensors.ts'
import type { Feeds, TensorPort } from './tensors.ts'

/**
 * One rule says which rows fit a candidate and which judge it; building and measuring both follow it.
 * With evaluation data all of those judge, and the calibration data fit. With evaluation data alone a fifth of it fits, at least 64
 * and at most 1,024 rows, and the rest judges; both are spread over the file, since labelled files are often sorted by class. With
 * calibration data alone the first 128 rows judge and the rest fits. Where fewer than 64 would be left for one of both, all rows do
 * both (of calibration data, the first 128 judge), which is said.
 */

const JUDGED_OF_CALIBRATION = 128
const FEWEST = 64
const MOST_OF_EVALUATION = 1024

/** Places of rows in the file, in an order whose every beginning is a fair sample of all. */
export interface Split {
  judge: number[]
  fit: number[]
  /** Whether rows that fit also judge, and from how many rows on they would not. */
  shared: boolean
  enough: number
}

/** 0 to below count, each once: steps of the golden ratio, so that any first few are spread over the whole. */
export function spread(count: number): number[] {
  let step = Math.max(1, Math.round(count * 0.618_033_988_75))
  while (greatestDivisor(step, count) > 1) step += 1
  return Array.from({ length: count }, (_, at) => (at * step) % count)
}

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b))

/** Of evaluation data without any others. */
export function splitEvaluation(count: number): Split {
  const order = spread(count)
  const enough = 2 * FEWEST
  if (count < enough) return { judge: order, fit: order, shared: true, enough }
  const judged = count - Math.min(MOST_OF_EVALUATION, Math.max(FEWEST, Math.floor(count / 5)))
  return { judge: order.slice(0, judged), fit: order.slice(judged), shared: false, enough }
}

/** Of calibration data without evaluation data. */
export function splitCalibration(count: number): Split {
  const enough = JUDGED_OF_CALIBRATION + FEWEST
  const judge = spread(Math.min(count, JUDGED_OF_CALIBRATION))
  if (count < enough) return { judge, fit: spread(count), shared: true, enough }
  const fit = spread(count - JUDGED_OF_CALIBRATION).map((at) => at + JUDGED_OF_CALIBRATION)
  return { judge, fit, shared: false, enough }
}

export interface DataPaths {
  calibration_path: string | null
  evaluation_path?: string | null | undefined
}

export interface FitRequest extends DataPaths {
  model_path: string
  /** Rows wanted at most; where there are more, those taken are spread over all. */
  most: number
  /** Bytes of rows wanted at most, by the size of the first. */
  most_bytes?: number | undefined
  /** Shape of one row by input name, for generated inputs. */
  shapes?: ShapeHints | undefined
  /** How long running all generated rows once may take. */
  generation_ms?: number
}

export interface FitRows {
  samples: Feeds[]
  /** As many as samples, where the data have labels. */
  labels?: Label[]
  /** `generated` rows are made up: statistics of them say little of real ones. */
  inputs: 'supplied' | 'generated'
  /** For the attempt's notes: what it was fitted on. */
  note: string
}

/** Seeds of generated rows to fit with: far from those that measurements start at. */
const FIRST_SEED = 10_000
const GENERATION_MS = 3000

/**
 * Rows to fit a candidate with. Loads the model in this process to know its inputs (and, without data, runs it), which for foreign
 * ones must be a process that may die. Fails with ArrayFault when the data do not fit, OnnxFault when none can be generated.
 */
export async function fitRows(request: FitRequest): Promise<FitRows> {
  const { model_path, most, shapes = {}, generation_ms = GENERATION_MS } = request
  const path = request.calibration_path ?? request.evaluation_path ?? null
  if (path === null) {
    const samples = await generatedSamples(model_path, { most, budget_ms: generation_ms, first_seed: FIRST_SEED, shapes })
    return { samples, inputs: 'generated', note: 'fitted on generated inputs: supply calibration data of the real kind' }
  }
  const set = openDataset(path, await inputPorts(model_path))
  const split = fitSplit(request, set.count)
  const fit = split.fit.slice(0, Math.min(most, rowsWithin(set, split.fit[0], request.most_bytes)))
  const { label } = set
  const samples = fit.map((index) => set.row(index))
  return { samples, ...(label ? { labels: fit.map(label) } : {}), inputs: 'supplied', note: noteOf(fit.length, split) }
}

const rowsWithin = (set: RowSet, first: number | undefined, most_bytes: number | undefined): number => {
  if (most_bytes === undefined || first === undefined) return set.count
  const bytes = Object.values(set.row(first)).reduce((sum, value) => sum + ('bytes' in value ? value.bytes.length : 0), 0)
  return Math.max(1, Math.floor(most_bytes / Math.max(1, bytes)))
}

type FitSplit = Pick<Split, 'fit'> & Partial<Split>

function fitSplit({ calibration_path, evaluation_path }: DataPaths, count: number): FitSplit {
  if (calibration_path === null) return splitEvaluation(count)
  return evaluation_path ? { fit: spread(count) } : splitCalibration(count)
}

function noteOf(count: number, { judge, shared, enough }: FitSplit): string {
  const rows = count === 1 ? 'row' : 'rows'
  if (!judge) return `fitted on ${count} calibration ${rows}`
  if (shared) return `fitted on the ${count} supplied ${rows} it is judged by; ${enough} or more keep them apart`
  return `fitted on ${count} supplied ${rows}, judged by ${judge.length} others`
}

/** The inputs of a model file, as onnxruntime declares them. */
export async function inputPorts(model_path: string): Promise<TensorPort[]> {
  const session = await InferenceSession.create(model_path, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
    extra: { session: { disable_prepacking: '1' } },
  })
  try {
    return session.inputMetadata.map(portOf)
  } finally {
    await session.release()
  }
}
