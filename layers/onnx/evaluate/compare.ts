import type { ClassOutput } from './decisions.ts'
import { isRunFault, RunFault } from './fault.ts'
import { type FidelityFigures, fidelityMeter } from './fidelity.ts'
import { generatedRow, type InputPlan, inputPlans, type ShapeHints } from './inputs.ts'
import type { NamedArrays } from './npz.ts'
import { type Loaded, type ModelRunner, startRunner } from './runner.ts'
import { suppliedRows } from './supplied.ts'
import type { Feeds } from './tensors.ts'
import { interleave, type TimedPair } from './timing.ts'

export interface CompareOptions {
  original_path: string
  candidate_path: string
  /** Arrays by input name, or undefined for generated inputs. */
  arrays?: NamedArrays | undefined
  /** Row shapes by input name, for generated inputs of models whose free dimensions cannot be guessed. */
  shapes?: ShapeHints | undefined
  class_output?: ClassOutput
  /** A latency reduction that verdicts turn on: see `interleave`. */
  line_percent?: number | undefined
  /** Wall-clock milliseconds for timing and fidelity together, after loading; half for each. */
  budget_ms: number
  threads: number
  memory_limit_bytes: number
  load_limit_ms: number
  /** One run may take this long before its process is killed. */
  run_limit_ms: number
}

export interface Comparison extends TimedPair {
  fidelity: FidelityFigures & { inputs: 'supplied' | 'generated' }
  /** Shape of one row, by input. */
  row_shapes: Record<string, number[]>
}

/** Rows that fidelity looks at, at most and at least: 128 let a 99 % gate tell one miss from two. */
const MAX_ROWS = 128
const MIN_ROWS = 8

/**
 * Runs original and candidate each in a process of its own, with the same options, in turns, and compares time, memory and
 * outputs. Fails with RunFault naming which of the two it was, or ArrayFault when supplied arrays do not fit.
 */
export async function compare(options: CompareOptions): Promise<Comparison> {
  const { memory_limit_bytes, threads } = options
  const start = (model_path: string, label: string) => startRunner({ model_path, memory_limit_bytes, threads, label })
  const original = start(options.original_path, 'The original')
  const candidate = start(options.candidate_path, 'The candidate')
  try {
    const loaded = await original.load(options.load_limit_ms)
    checkClassOutput(options.class_output, loaded)
    const loadedCandidate = await candidate.load(options.load_limit_ms)
    const rows = await rowSource(original, loaded, options)
    const first = rows.row(0)
    // Both have answered once with outputs before memory is compared, and a candidate that cannot run fails here.
    for (const side of [original, candidate]) await side.run(first, { want_outputs: true, timeout_ms: options.run_limit_ms })
    const timed = await interleave(
      { runner: original, rss_before_bytes: loaded.rss_before_bytes },
      { runner: candidate, rss_before_bytes: loadedCandidate.rss_before_bytes },
      { feeds: first, budget_ms: options.budget_ms / 2, run_limit_ms: options.run_limit_ms, line_percent: options.line_percent },
    )
    const fidelity = await measureFidelity(original, candidate, rows, options)
    return {
      ...timed,
      fidelity: { ...fidelity, inputs: rows.inputs },
      row_shapes: Object.fromEntries(Object.entries(first).map(([name, value]) => [name, value.dims])),
    }
  } finally {
    await Promise.all([original.stop(), candidate.stop()])
  }
}

function checkClassOutput(class_output: ClassOutput, { outputs }: Loaded): void {
  if (typeof class_output !== 'string' || outputs.some(({ name }) => name === class_output)) return
  const names = outputs.map(({ name }) => name).join(', ')
  throw new RunFault('model_error', `The output said to decide, ${class_output}, is none of the model's: ${names}`)
}

interface RowSource {
  inputs: 'supplied' | 'generated'
  count: number
  row(index: number): Feeds
}

async function rowSource(original: ModelRunner, loaded: Loaded, options: CompareOptions): Promise<RowSource> {
  if (options.arrays) {
    const rows = suppliedRows(options.arrays, loaded.inputs, MAX_ROWS)
    return { inputs: 'supplied', count: rows.length, row: (index) => rows[index] ?? {} }
  }
  const plan = await workingPlan(original, loaded, options)
  return { inputs: 'generated', count: MAX_ROWS, row: (index) => generatedRow(loaded.inputs, plan, index, options.shapes) }
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

async function measureFidelity(
  original: ModelRunner,
  candidate: ModelRunner,
  rows: RowSource,
  options: CompareOptions,
): Promise<FidelityFigures> {
  const meter = fidelityMeter(options.class_output)
  const until = performance.now() + options.budget_ms / 2
  const once = { want_outputs: true, timeout_ms: options.run_limit_ms }
  for (let index = 0; index < rows.count; index += 1) {
    if (index >= MIN_ROWS && performance.now() > until) break
    const feeds = rows.row(index)
    const wanted = await original.run(feeds, once)
    const got = await candidate.run(feeds, once)
    meter.add(wanted.outputs, got.outputs)
  }
  const figures = meter.figures()
  if (typeof options.class_output === 'string' && figures.decisions === 0)
    throw new RunFault(
      'model_error',
      `The output said to decide, ${options.class_output}, holds no scores of two classes or more`,
    )
  return figures
}
