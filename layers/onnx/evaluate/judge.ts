import type { ClassOutput } from './decisions.ts'
import { type FidelityFigures, fidelityMeter } from './fidelity.ts'
import { generatedRow, type InputPlan, type ShapeHints } from './inputs.ts'
import type { JudgeRows } from './judge-rows.ts'
import type { RowAnswers } from './remembered-rows.ts'
import { rowVariety } from './row-variety.ts'
import type { ModelRunner } from './runner.ts'
import { type TaskAsked, type TaskFigures, type TaskMeter, taskMeter } from './task.ts'
import { bytesOf, type Feeds, type TensorPort } from './tensors.ts'

/** Rows that judge, supplied or made up. */
export interface RowSource
  extends Pick<JudgeRows, 'count' | 'row' | 'place'>,
    Partial<Pick<JudgeRows, 'label' | 'isFitted' | 'samples_each'>> {
  inputs: 'supplied' | 'generated'
}

/** Generated rows, which look alike: 128 let a 99 % gate tell one miss from two. */
const GENERATED_ROWS = 128

export const generatedSource = (ports: readonly TensorPort[], plan: InputPlan, shapes: ShapeHints | undefined): RowSource => ({
  inputs: 'generated',
  count: GENERATED_ROWS,
  row: (index) => generatedRow(ports, plan, index, shapes),
  place: (index) => index,
})

export interface Judged {
  fidelity: FidelityFigures & {
    inputs: 'supplied' | 'generated'
    /** Rows there were to judge by; more than `rows` when the time ended first. */
    rows_available: number
    /** Rows judged that candidates may have been fitted to as well: what they prove is a fit. */
    rows_shared: number
    /** Different samples that the original answers with numbers, counted up to 8; absent for generated rows. */
    rows_different?: number
  }
  task?: TaskFigures
}

export interface JudgeOptions {
  class_output?: ClassOutput
  task?: TaskAsked | undefined
  hopeless?: HopelessLine | undefined
  budget_ms: number
  run_limit_ms: number
}

const MIN_ROWS = 8
/** Signal below noise, where no line is drawn; after so many rows, and without labels, no further row says more. */
const HOPELESS_SQNR_DB = 0
const HOPELESS_ROWS = 64
/** Rows that matter may be rare: until this share of the time is used a candidate has the benefit of the doubt. */
const TIRED_SHARE = 0.3
/** Labels seen before they are asked whether they have settled it, and by how much more each time: looking often would find what is not there. */
const FEW_LABELS = 1000
const LOOK_AGAIN = 2
/** One message: enough runs to drown its cost, few enough that neither time nor memory overshoot. */
const CHUNK_MS = 100
const CHUNK_BYTES = 8 * 2 ** 20
const CHUNK_ROWS = 256
/** Labels looked at to tell what they mean. */
const SAMPLED_LABELS = 256

/** Below these nobody wants a candidate: of decisions where it makes several, else of noise. */
export interface HopelessLine {
  sqnr_db: number
  top1_agreement: number
  /** Loss of the task up to which a candidate is wanted. */
  task_loss?: number | undefined
}

type Seen = Pick<FidelityFigures, 'sqnr_db' | 'top1_agreement' | 'classes_seen'>
export const isHopeless = ({ sqnr_db, top1_agreement, classes_seen }: Seen, line?: HopelessLine): boolean => {
  if (top1_agreement !== null && classes_seen > 1 && line) return top1_agreement < line.top1_agreement
  return sqnr_db !== null && sqnr_db < (line?.sqnr_db ?? HOPELESS_SQNR_DB)
}

/**
 * Runs the same rows through both models, each row once and alone, and adds up fidelity and, where rows have labels, the task's
 * metric, until all rows are done, the budget is, or all hope, or labels have settled what was asked (a line given). Fails with ArrayFault
 * where supplied rows get no number from the original at all.
 */
export async function judge(
  original: RowAnswers,
  candidate: ModelRunner,
  rows: RowSource,
  options: JudgeOptions,
): Promise<Judged> {
  const meter = fidelityMeter(options.class_output)
  const { label, isFitted } = rows
  const variety = rows.inputs === 'supplied' ? rowVariety(rows.samples_each ?? 1) : undefined
  const started = performance.now()
  let task: TaskMeter | undefined
  let rows_shared = 0
  let chunk = 1
  let looked_at = FEW_LABELS / LOOK_AGAIN
  for (let index = 0; index < rows.count; ) {
    const spent_ms = performance.now() - started
    if (index >= MIN_ROWS && spent_ms > options.budget_ms) break
    const tired = spent_ms > TIRED_SHARE * options.budget_ms
    if (index >= HOPELESS_ROWS && !label && isHopeless(meter.figures(), tired ? options.hopeless : undefined)) break
    const feeds = take(rows, index, Math.min(chunk, rows.count - index))
    const limit = { timeout_ms: options.run_limit_ms * feeds.length }
    // At the same time, since nobody times them here.
    const [wanted, got] = await Promise.all([original(index, feeds, limit), candidate.runRows(feeds, limit)])
    for (const [at, outputs] of wanted.entries()) {
      meter.add(outputs, got[at] ?? {})
      if (feeds[at] && isFitted?.(feeds[at])) rows_shared += 1
      if (feeds[at]) variety?.add(feeds[at], outputs, rows.place(index + at))
      if (!label) continue
      task ??= taskMeter(options.task ?? {}, outputs, sampledLabels(rows.count, label))
      task.add(outputs, got[at] ?? {}, label(index + at), rows.place(index + at))
    }
    index += feeds.length
    if (task && index >= looked_at * LOOK_AGAIN) {
      looked_at = index
      if (isSettled(task.figures(), options.hopeless)) break
    }
    const row_ms = (performance.now() - started) / index
    chunk = Math.max(1, Math.min(CHUNK_ROWS, Math.floor(CHUNK_MS / row_ms), 2 * chunk))
  }
  variety?.check()
  const counted = variety && { rows_different: variety.different() }
  const fidelity = { ...meter.figures(), inputs: rows.inputs, rows_available: rows.count, rows_shared, ...counted }
  return task ? { fidelity, task: task.figures() } : { fidelity }
}

/** Whether labels have said on which side of the line a candidate is. */
const isSettled = ({ loss: { interval } }: TaskFigures, line: HopelessLine | undefined): boolean =>
  line?.task_loss !== undefined && (interval[1] <= line.task_loss || interval[0] > line.task_loss)

function take(rows: RowSource, from: number, most: number): Feeds[] {
  const taken: Feeds[] = []
  for (let bytes = 0; taken.length < most && (taken.length === 0 || bytes < CHUNK_BYTES); ) {
    const row = rows.row(from + taken.length)
    bytes += bytesOf(row)
    taken.push(row)
  }
  return taken
}

const sampledLabels = (count: number, label: NonNullable<RowSource['label']>) =>
  Array.from({ length: Math.min(count, SAMPLED_LABELS) }, (_, at) => label(at))
