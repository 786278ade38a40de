import { type AccuracyGate, askedMetadata, gateOf } from './accuracy-gate.ts'
import type { Asked, Evidence } from './evidence.ts'
import type { Fidelity, TaskResult } from './optimization.ts'

/** What outputs and labels say of a candidate under a gate. `by` is what decided; `note` what else is to be said. */
export interface Faithfulness {
  faithful: boolean
  by: 'task' | 'decisions' | 'noise' | 'nothing'
  /** Why it is not faithful; absent when it is. */
  reason?: string
  note?: string
}

/** SQNR this far below the gate is no matter of luck with rows. */
const FAR_DB = 6
/** So many times what the gate admits is lost. */
const FAR_TIMES = 3

/** Different supplied rows that a verdict must rest on. */
const FEWEST_ROWS = 8

/**
 * Near enough to the original? Supplied rows must be some, and differ: what looks faithful by fewer is inconclusive.
 */
export function faithfulness(evidence: Evidence, asked: Asked): Faithfulness {
  const judged = faithfulByRows(evidence, asked)
  const few = judged.faithful ? tooFew(evidence.fidelity) : undefined
  return few === undefined ? judged : { faithful: false, by: 'nothing', reason: few }
}

const tooFew = (fidelity: Fidelity): string | undefined => {
  const { rows, rows_different = rows, inputs } = fidelity
  if (inputs !== 'supplied' || rows_different >= FEWEST_ROWS) return undefined
  const of_use = rows_different < rows ? `, ${rows_different} of them different and answered with numbers` : ''
  return `Inconclusive: ${fidelityText(fidelity)}${of_use}; wanted at least ${FEWEST_ROWS} different rows`
}

/**
 * Labels decide where their interval says enough, or the figure itself does and rests on all rows or on
 * many; else they are inconclusive and the outputs decide: by top-1 decisions where the model makes different ones, else by noise.
 */
function faithfulByRows({ fidelity, task }: Evidence, asked: Asked): Faithfulness {
  const gate = gateOf(askedMetadata(asked))
  if (!task) return byOutputs(fidelity, gate)
  const { value, interval } = task.loss
  if (interval[1] <= gate.task_loss) return { faithful: true, by: 'task', note: taskText(task) }
  if (interval[0] > gate.task_loss || (value > gate.task_loss && !isGlimpse(fidelity, task)))
    return { faithful: false, by: 'task', reason: `Unfaithful: ${taskText(task)}; wanted a loss of at most ${gate.task_loss}` }
  const inconclusive = `${taskText(task)} is inconclusive with ${rowsText(task.rows)}`
  const { reason, ...rest } = byOutputs(fidelity, gate)
  return reason === undefined ? { ...rest, note: inconclusive } : { ...rest, reason: `${reason}; ${inconclusive}` }
}

/** Fewer rows tell shares apart by several points at best. */
const FEW_ROWS = 200
/** A first look at few of many labelled rows, where one wrong answer more exceeds any gate: only what is sure counts, the others are to come. */
const isGlimpse = ({ rows, rows_available = rows }: Fidelity, task: TaskResult): boolean =>
  task.rows < FEW_ROWS && rows < rows_available

function byOutputs(fidelity: Fidelity, gate: AccuracyGate): Faithfulness {
  const { top1_agreement, sqnr_db, rows, inputs } = fidelity
  if (top1_agreement !== null && top1_agreement < gate.top1_agreement)
    return {
      faithful: false,
      by: 'decisions',
      reason: `Unfaithful: top-1 agreement ${round4(top1_agreement)} over ${rowsText(rows, inputs)}; wanted at least ${gate.top1_agreement}`,
    }
  if (decides(fidelity)) return { faithful: true, by: 'decisions' }
  if (sqnr_db === null)
    return {
      faithful: false,
      by: 'nothing',
      reason: `Unfaithful as far as can be told: ${nothingText(fidelity)}`,
    }
  if (sqnr_db >= gate.sqnr_db) return { faithful: true, by: 'noise' }
  const one_class = top1_agreement === null ? '' : ', all of one class'
  const reason = `Unfaithful: SQNR ${round2(sqnr_db)} dB over ${rowsText(rows, inputs)}${one_class}; wanted at least ${gate.sqnr_db} dB`
  return { faithful: false, by: 'noise', reason }
}

/** Decisions prove something only where they differ; agreement on one class for every input may be luck, so noise counts too. */
const decides = ({ top1_agreement, classes_seen }: Fidelity): boolean => top1_agreement !== null && classes_seen !== 1

export const isFaithful = (evidence: Evidence, asked: Asked): boolean => faithfulness(evidence, asked).faithful

/** So far from the gate that a harsher candidate of the same family cannot be expected to pass it. */
export function isFarUnfaithful(evidence: Evidence, asked: Asked): boolean {
  const { faithful, by } = faithfulness(evidence, asked)
  if (faithful) return false
  const { top1_agreement, sqnr_db } = evidence.fidelity
  if (by === 'task') return (evidence.task?.loss.value ?? 0) > FAR_TIMES * gateOf(askedMetadata(asked)).task_loss
  if (by === 'decisions') return (top1_agreement ?? 1) < hopelessLine(asked).top1_agreement
  return by === 'noise' && sqnr_db !== null && sqnr_db <= hopelessLine(asked).sqnr_db
}

/** The figures below which outputs are far off, and the loss that decides, for measurements that need not go on then. */
export const hopelessLine = (asked: Asked): { sqnr_db: number; top1_agreement: number; task_loss: number } => {
  const gate = gateOf(askedMetadata(asked))
  return {
    sqnr_db: gate.sqnr_db - FAR_DB,
    top1_agreement: 1 - FAR_TIMES * Math.max(0.01, 1 - gate.top1_agreement),
    task_loss: gate.task_loss,
  }
}

const shares = ['accuracy', 'exact_match', 'f1', 'cer', 'map', 'r2']

/**
 * Change in per cent, negative is worse: of the task metric where there are labels (points for shares, relative for errors), else
 * −100 · (1 − top-1 agreement); null where the model decides between no classes.
 */
export const accuracyChange = ({ fidelity: { top1_agreement }, task }: Pick<Evidence, 'fidelity' | 'task'>): number | null => {
  if (task && shares.includes(task.metric)) return 0 - round2(100 * task.loss.value)
  if (task) return task.original.value === 0 ? null : 0 - round2((100 * task.loss.value) / Math.abs(task.original.value))
  return top1_agreement === null ? null : 0 - round2(100 * (1 - top1_agreement))
}

export const fidelityText = ({ top1_agreement, sqnr_db, rows, inputs }: Fidelity): string =>
  `${top1_agreement === null ? '' : `top-1 agreement ${round4(top1_agreement)}, `}SQNR ${sqnr_db === null ? 'unknown' : `${round2(sqnr_db)} dB`} over ${rowsText(rows, inputs)}`

const rowsText = (count: number, kind?: string): string => [count, kind, count === 1 ? 'row' : 'rows'].filter(Boolean).join(' ')

/** Why outputs prove nothing, and what would. */
const nothingText = ({ rows, inputs }: Fidelity): string =>
  inputs === 'supplied'
    ? `the original answers ${rowsText(rows, inputs)} with nothing but zeros or no floats at all; supply rows that it answers otherwise or metadata.class_output`
    : 'no output says enough; supply calibration data or metadata.class_output'

const taskText = ({ metric, original, candidate, loss }: TaskResult): string =>
  `${metric} ${round4(original.value)} → ${round4(candidate.value)}, loss ${round4(loss.value)} (95 %: ${round4(loss.interval[0])} to ${round4(loss.interval[1])})`

export const round2 = (value: number): number => Math.round(value * 100) / 100
const round4 = (value: number): number => Math.round(value * 10_000) / 10_000
