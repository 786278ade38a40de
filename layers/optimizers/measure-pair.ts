import { stat } from 'node:fs/promises'
import { SLOWEST_ACCEPTED_PERCENT } from '../core/domain/judge-candidate.ts'
import type { Measurement, TaskResult, TaskScore } from '../core/domain/optimization.ts'
import type { MeasureOrder, Workbench } from '../core/ports/workbench.ts'
import type { Comparison } from '../onnx/evaluate/compare.ts'
import type { ComparisonRoom } from '../onnx/evaluate/compare-apart.ts'
import type { TaskFigures } from '../onnx/evaluate/task.ts'
import type { Timing } from '../onnx/evaluate/timing.ts'

export interface MeasureLimits {
  memory_bytes: number
  load_ms: number
  run_ms: number
  /** Fidelity, task and timing of one candidate together, where the order does not say. */
  measure_ms: number
  /** All of a comparison, loading included; below the time limit of its step. */
  compare_ms: number
}

/** Files of an order. */
interface Paths {
  original: string
  candidate: string
  calibration: string | null
  evaluation: string | null
}

/** Compares original and candidate in processes of their own. Fails with RunFault or ArrayFault, as its room does. */
export async function measurePair(
  order: MeasureOrder,
  paths: Paths,
  limits: MeasureLimits,
  room: Pick<ComparisonRoom, 'compare'>,
): ReturnType<Workbench['measure']> {
  const request = {
    original_path: paths.original,
    candidate_path: paths.candidate,
    calibration_path: paths.calibration,
    evaluation_path: paths.evaluation,
    task: order.task,
    shapes: order.input_shapes,
    ...(order.class_output === undefined ? {} : { class_output: order.class_output }),
    thorough: order.thorough,
    hopeless: order.hopeless,
    unfitted: order.unfitted,
    line_percent: SLOWEST_ACCEPTED_PERCENT,
    budget_ms: order.budget_ms ?? limits.measure_ms,
    threads: 1,
    memory_limit_bytes: limits.memory_bytes,
    load_limit_ms: limits.load_ms,
    run_limit_ms: limits.run_ms,
  }
  const result = await room.compare(request, limits.compare_ms)
  return {
    original: await measurement(paths.original, result.original),
    candidate: await measurement(paths.candidate, result.candidate),
    ...evidence(result),
  }
}

const evidence = ({ fidelity: { decisions: _, ...fidelity }, interval, task }: Comparison) => ({
  fidelity: {
    ...fidelity,
    sqnr_db: fidelity.sqnr_db === null ? null : rounded(fidelity.sqnr_db, 2),
    kl_divergence: fidelity.kl_divergence === null ? null : rounded(fidelity.kl_divergence, 6),
  },
  latency_interval: {
    estimate_percent: rounded(interval.estimate_percent, 2),
    low_percent: rounded(interval.low_percent, 2),
    high_percent: rounded(interval.high_percent, 2),
    rounds: interval.rounds,
  },
  ...(task ? { task: taskResult(task) } : {}),
})

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))

const score = ({ value, interval: [low, high] }: TaskScore): TaskScore => ({
  value: rounded(value, 6),
  interval: [rounded(low, 6), rounded(high, 6)],
})
const taskResult = ({ original, candidate, loss, ...rest }: TaskFigures): TaskResult => ({
  ...rest,
  original: score(original),
  candidate: score(candidate),
  loss: score(loss),
})

/** Microseconds are as fine as a clock tells here; more digits would pretend. */
const time = (ms: number): number => rounded(ms, 4)
const measurement = async (path: string, timing: Timing): Promise<Measurement> => ({
  size_bytes: (await stat(path)).size,
  p50_ms: time(timing.p50_ms),
  p95_ms: time(timing.p95_ms),
  p50_interval_ms: [time(timing.p50_interval_ms[0]), time(timing.p50_interval_ms[1])],
  p95_interval_ms: [time(timing.p95_interval_ms[0]), time(timing.p95_interval_ms[1])],
  runs: timing.runs,
  rss_bytes: timing.rss_bytes,
})
