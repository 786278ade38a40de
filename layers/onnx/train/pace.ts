import type { Checkpoint } from './checkpoint.ts'
import { rateAt, type ScheduleSpec } from './schedules.ts'

/** How many steps a run has, and the learning rate of each. */
export interface Pace {
  steps(): number
  /** Learning rate at a step counted from 1. */
  rate(step: number): number
  /** Tells how long a step took. */
  took(step: number, ms: number): void
  kept(): Pick<Checkpoint, 'steps' | 'trained_ms'>
}

/** The first steps allocate and choose kernels; the ones after tell how fast the run is. */
const FIRST_TIMED = 4
const LAST_TIMED = 12
/** Of the budget: steps also vary. */
const SHARE_PLANNED = 0.9

interface Wanted {
  steps: number
  schedule: ScheduleSpec
  budget_ms?: number | undefined
}

/**
 * A run of `steps`, or of as many as fit the budget by the pace of its first ones, so that the learning rate has come down when the time
 * is over. Without a budget the same plan always has the same steps and rates.
 */
export const startPace = (
  { steps: wanted, schedule, budget_ms = Number.POSITIVE_INFINITY }: Wanted,
  from: Pick<Checkpoint, 'steps' | 'trained_ms' | 'step'> | undefined,
): Pace => {
  let steps = from?.steps ?? wanted
  let trained_ms = from?.trained_ms ?? 0
  let timed_ms = 0
  const plan = (): void => {
    const each_ms = timed_ms / (LAST_TIMED - FIRST_TIMED)
    const fitting = LAST_TIMED + Math.floor((budget_ms * SHARE_PLANNED - trained_ms) / each_ms)
    steps = Math.max(LAST_TIMED, Math.min(wanted, fitting))
  }
  return {
    steps: () => steps,
    rate(step) {
      const warm_up_steps = Math.round(((schedule.warm_up_steps ?? 0) * steps) / wanted)
      return rateAt({ ...schedule, warm_up_steps }, step, steps)
    },
    took(step, ms) {
      trained_ms += ms
      if (step > FIRST_TIMED && step <= LAST_TIMED) timed_ms += ms
      if (step === LAST_TIMED && Number.isFinite(budget_ms)) plan()
    },
    kept: () => ({ steps, trained_ms }),
  }
}
