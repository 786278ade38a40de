import { refuseExternalData } from '../codec/external-data.ts'
import { readModelFile } from '../codec/read-model.ts'
import { isOnnxFault } from '../fault.ts'
import type { ClassOutput } from './decisions.ts'
import { isRunFault, RunFault } from './fault.ts'
import { generatedRow, type InputPlan, inputPlans, type ShapeHints } from './inputs.ts'
import { generatedSource, type HopelessLine, isHopeless, type Judged, judge, type RowSource } from './judge.ts'
import { judgeRows } from './judge-rows.ts'
import { percentile } from './latency-interval.ts'
import { type RowAnswers, rememberedRows } from './remembered-rows.ts'
import { type Loaded, type ModelRunner, startRunner } from './runner.ts'
import type { TaskAsked } from './task.ts'
import type { Feeds } from './tensors.ts'
import { interleave, MAX_RUNS, type TimedPair } from './timing.ts'

export interface CompareOptions {
  original_path: string
  candidate_path: string
  /** Files of rows that candidates were fitted with, and of rows to judge by; without both, inputs are generated. */
  calibration_path?: string | null | undefined
  evaluation_path?: string | null | undefined
  /** How labels are to be read. */
  task?: TaskAsked | undefined
  /** Row shapes by input name, for generated inputs of models whose free dimensions cannot be guessed. */
  shapes?: ShapeHints | undefined
  class_output?: ClassOutput
  /** A latency reduction that verdicts turn on: see `interleave`. */
  line_percent?: number | undefined
  /** More runs, as wanted of one that was chosen. */
  thorough?: boolean | undefined
  /** Nothing is fitted: all rows judge. */
  unfitted?: boolean | undefined
  /** Figures below which outputs are too far off for any further effort. */
  hopeless?: HopelessLine | undefined
  /** Wall-clock milliseconds for fidelity, task and timing together, after loading. */
  budget_ms: number
  threads: number
  memory_limit_bytes: number
  load_limit_ms: number
  /** One run may take this long before its process is killed. */
  run_limit_ms: number
}

export interface Comparison extends TimedPair, Judged {
  /** Shape of one row, by input. */
  row_shapes: Record<string, number[]>
}

/** Share of the budget for timing; with labels less, since a task's metric needs many rows. */
const TIMING_SHARE = 0.5
const LABELLED_TIMING_SHARE = 0.35
const LEAST_TIMING_MS = 300
const HOPELESS_TIMING_MS = 150
/** Seconds in turns tell the rest; labels are worth what else there is. */
const MOST_TIMING_MS = 4000
/** So many times the runs. */
const THOROUGH = 2
const WARM_UP_RUNS = 5

/** The original as every candidate of a search meets it: loaded, its rows at hand, what it answered to them remembered. */
export interface PreparedOriginal {
  runner: ModelRunner
  rows: RowSource
  answers: RowAnswers
  first: Feeds
  /** How long a run takes, and the resident bytes that loading and some runs added. */
  tried: Awaited<ReturnType<typeof tried>>
  stop(): Promise<void>
}

const runnerOf = ({ memory_limit_bytes, threads }: CompareOptions, model_path: string, label: string): ModelRunner =>
  startRunner({ model_path, memory_limit_bytes, threads, label })

/** Loads the original of a comparison. Fails as `compare`; call `stop` in the end. */
export async function prepareOriginal(options: CompareOptions): Promise<PreparedOriginal> {
  checkFile('The original', options.original_path)
  const runner = runnerOf(options, options.original_path, 'The original')
  try {
    const loaded = await runner.load(options.load_limit_ms)
    checkClassOutput(options.class_output, loaded)
    const rows = await rowSource(runner, loaded, options)
    const first = rows.row(0)
    // Memory is compared once both have run the same row as often, before anything else is asked of them.
    const before = await tried(runner, loaded, first, options)
    return { runner, rows, answers: rememberedRows(runner), first, tried: before, stop: () => runner.stop() }
  } catch (error) {
    await runner.stop()
    throw error
  }
}

/**
 * Runs original and candidate each in a process of its own, with the same options, and compares outputs, task, time (in turns) and
 * memory. Fails with RunFault naming which of the two it was, or ArrayFault when supplied data do not fit.
 */
export async function compare(options: CompareOptions): Promise<Comparison> {
  const original = await prepareOriginal(options)
  try {
    return await compareWith(original, options)
  } finally {
    await original.stop()
  }
}

/** `compare` with an original that was prepared by the same options, the candidate's path aside. */
export async function compareWith(
  { rows, answers, first, tried: before }: PreparedOriginal,
  options: CompareOptions,
): Promise<Comparison> {
  checkFile('The candidate', options.candidate_path)
  const candidate = runnerOf(options, options.candidate_path, 'The candidate')
  try {
    const after = await tried(candidate, await candidate.load(options.load_limit_ms), first, options)
    const timing_ms = timingShare(options, rows, before.run_ms + after.run_ms)
    const judged = await judge(answers, candidate, rows, {
      ...options,
      hopeless: options.thorough ? undefined : options.hopeless,
      budget_ms: options.budget_ms - timing_ms,
    })
    checkDecisions(options.class_output, judged)
    const hopeless = isHopeless(judged.fidelity, options.hopeless) && !judged.task
    const timed = await interleave(before, after, {
      feeds: first,
      budget_ms: hopeless ? Math.min(HOPELESS_TIMING_MS, timing_ms) : timing_ms,
      run_limit_ms: options.run_limit_ms,
      line_percent: hopeless ? undefined : options.line_percent,
      effort: options.thorough ? THOROUGH : 1,
    })
    return {
      ...timed,
      ...judged,
      row_shapes: Object.fromEntries(Object.entries(first).map(([name, value]) => [name, value.dims])),
    }
  } finally {
    await candidate.stop()
  }
}

/**
 * Refuses files that keep weights in others, before the runtime, which would open any neighbour of the model, sees their paths. What
 * is no model at all the runtime says itself.
 */
function checkFile(label: string, path: string): void {
  try {
    refuseExternalData(readModelFile(path))
  } catch (error) {
    if (!isOnnxFault(error)) throw error
    if (error.code === 'unsafe' || error.code === 'external_data_missing')
      throw new RunFault('model_error', `${label} could not be run: ${error.detail}`)
  }
}

/** What is left for timing: its share, or less where its most runs take less. */
function timingShare({ budget_ms, thorough }: CompareOptions, { label }: RowSource, pair_ms: number): number {
  const share_ms = Math.min(MOST_TIMING_MS, budget_ms * (label ? LABELLED_TIMING_SHARE : TIMING_SHARE))
  return Math.min(share_ms, Math.max(LEAST_TIMING_MS, (thorough ? THOROUGH : 1) * MAX_RUNS * pair_ms))
}

/** Some runs of a row: how long one takes, and the resident bytes they and loading added. A candidate that cannot run fails here. */
async function tried(runner: ModelRunner, loaded: Loaded, feeds: Feeds, { run_limit_ms }: CompareOptions) {
  const options = { runs: WARM_UP_RUNS, want_outputs: true, timeout_ms: run_limit_ms * WARM_UP_RUNS }
  const { rss_bytes, latencies_ms } = await runner.run(feeds, options)
  return { runner, rss_bytes: Math.max(0, rss_bytes - loaded.rss_before_bytes), run_ms: percentile(latencies_ms, 0.5) }
}

function checkClassOutput(class_output: ClassOutput, { outputs }: Loaded): void {
  if (typeof class_output !== 'string' || outputs.some(({ name }) => name === class_output)) return
  const names = outputs.map(({ name }) => name).join(', ')
  throw new RunFault('model_error', `The output said to decide, ${class_output}, is none of the model's: ${names}`)
}

function checkDecisions(class_output: ClassOutput, { fidelity }: Judged): void {
  if (typeof class_output === 'string' && fidelity.decisions === 0)
    throw new RunFault('model_error', `The output said to decide, ${class_output}, holds no scores of two classes or more`)
}

async function rowSource(original: ModelRunner, loaded: Loaded, options: CompareOptions): Promise<RowSource> {
  const { calibration_path = null, evaluation_path, unfitted } = options
  const rows = judgeRows({ calibration_path, evaluation_path, unfitted }, loaded.inputs)
  if (rows) return { ...rows, inputs: 'supplied' }
  return generatedSource(loaded.inputs, await workingPlan(original, loaded, options), options.shapes)
}

/** The first plan the original accepts with something to show for it. */
async function workingPlan(
  runner: ModelRunner,
  loaded: Loaded,
  options: Pick<CompareOptions, 'run_limit_ms' | 'shapes'>,
): Promise<InputPlan> {
  let refusal = 'it has no output'
  for (const plan of inputPlans(loaded.inputs)) {
    try {
      const feeds = generatedRow(loaded.inputs, plan, 0, options.shapes)
      const { outputs } = await runner.run(feeds, { want_outputs: true, timeout_ms: options.run_limit_ms })
      if (Object.values(outputs).some((output) => output.dims.every((size) => size > 0))) return plan
      refusal = 'all its outputs were empty'
    } catch (error) {
      if (!isRunFault(error, 'model_error')) throw error
      refusal = error.message
    }
  }
  throw new RunFault('model_error', `No generated input runs (${refusal}); supply calibration data, or metadata.input_shapes`)
}
