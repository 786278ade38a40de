import { type CommonOptions, jobOf } from './distil.ts'
import type { Advanced, Finished, Opened } from './job.ts'
import { openJob } from './run-job.ts'
import type { StudentSpec } from './students.ts'

export interface TrainedHere extends Opened, Finished {
  steps: number
  planned: number
  curve: Advanced['curve']
  time_ms: number
}

/**
 * Trains in this process, which must be one that may die, until the steps are done or `budget_ms` of training is used; the promise
 * then takes as long as asking the teacher and judging do. What `distil` throws.
 */
export const trainHere = async (
  options: CommonOptions & { budget_ms: number },
  teacher_path: string,
  student: StudentSpec,
  rate: number,
): Promise<TrainedHere> => {
  const started = performance.now()
  const run = await openJob(jobOf(options, teacher_path, student, rate))
  const { step, steps, curve } = await run.advance(Number.MAX_SAFE_INTEGER, options.budget_ms)
  const finished = await run.finish()
  return { ...run.opened, ...finished, steps: step, planned: steps, curve, time_ms: Math.round(performance.now() - started) }
}

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`

/** What training did, for the notes of a candidate. */
export const trainingNote = ({ steps, batch, resumed_at, curve, before, after, withdrawn, time_ms }: TrainedHere): string => {
  const loss = curve.length > 0 ? `, loss ${curve[0]!.loss.toPrecision(3)} → ${curve.at(-1)!.loss.toPrecision(3)}` : ''
  const resumed = resumed_at > 0 ? `, ${resumed_at} of them before it was ended` : ''
  const end = after ?? before
  const agreed = end?.agreement !== undefined && before?.agreement !== undefined
  const agreement = agreed
    ? `, agreement ${percent(before.agreement!)} → ${percent(end.agreement!)} of ${end.samples} rows held out`
    : ''
  const labelled = end?.accuracy !== undefined && before?.accuracy !== undefined
  const accuracy = labelled ? `, accuracy ${percent(before.accuracy!)} → ${percent(end.accuracy!)}` : ''
  const kept = withdrawn ? '; it made the rows held out worse and was withdrawn' : ''
  return `trained ${steps} steps of ${batch} rows in ${(time_ms / 1000).toFixed(1)} s${resumed}${loss}${agreement}${accuracy}${kept}`
}
