/**
 * The learning rate over a run. `cosine` falls from `rate` to `floor` times it (Loshchilov and Hutter, arXiv 1608.03983, without
 * restarts), `step` is multiplied by `factor` after every `every_steps`. Before that it rises linearly over `warm_up_steps`.
 */
export type ScheduleSpec = { rate: number; warm_up_steps?: number } & (
  | { kind: 'constant' }
  | { kind: 'cosine'; floor?: number }
  | { kind: 'step'; every_steps: number; factor: number }
)

/** Learning rate at a step counted from 1, of `steps` in all. Warm-up reaches the full rate at its last step. */
export const rateAt = (schedule: ScheduleSpec, step: number, steps: number): number => {
  const warm_up = Math.min(schedule.warm_up_steps ?? 0, steps)
  if (step <= warm_up) return (schedule.rate * step) / warm_up
  const done = step - warm_up - 1
  const rest = Math.max(1, steps - warm_up)
  if (schedule.kind === 'cosine') {
    const floor = schedule.floor ?? 0
    return schedule.rate * (floor + ((1 - floor) * (1 + Math.cos((Math.PI * done) / rest))) / 2)
  }
  if (schedule.kind === 'step') return schedule.rate * schedule.factor ** Math.floor(done / schedule.every_steps)
  return schedule.rate
}
