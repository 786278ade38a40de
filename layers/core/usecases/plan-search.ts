import { wishesOf } from '../domain/accuracy-gate.ts'
import type { Inspection } from '../domain/model.ts'
import type { OptimizationMethod, PlannedAttempt } from '../domain/optimization.ts'
import type { OptimizationAsked, Optimizer } from '../ports/optimizer.ts'

/** Beyond these a ladder is too fine: every rung costs a build and a measurement. */
const MOST_PLANNED = 40

export interface SearchAsked extends OptimizationAsked {
  method: OptimizationMethod
}
export interface SearchPlan {
  /** Mildest first, distillation last. */
  plan: PlannedAttempt[]
  /** Optimizers with nothing to offer, and why. */
  left_out: { optimizer: string; reason: string }[]
}

/**
 * Asks every optimizer of the method which candidates are worth building (`auto`: all but custom ones), and orders them by what they
 * are expected to keep. Without an expectation the best guess of each optimizer comes first, then the second guess of each.
 */
export function planSearch(optimizers: readonly Optimizer[], inspection: Inspection, asked: SearchAsked): SearchPlan {
  const guesses: { rank: number; planned: PlannedAttempt; expected: boolean }[] = []
  const left_out: SearchPlan['left_out'] = []
  for (const optimizer of optimizers.filter((each) => isAsked(each, asked))) {
    const answer = strangerTo(optimizer, asked) ?? optimizer.suits(inspection, asked)
    if (typeof answer === 'string') left_out.push({ optimizer: optimizer.name, reason: answer })
    else
      guesses.push(
        ...answer.map((settings, rank) => ({
          rank,
          expected: optimizer.expects !== undefined,
          planned: plannedFrom(optimizer, inspection, settings),
        })),
      )
  }
  const plan = guesses
    .toSorted(
      (a, b) =>
        lateness(a.planned) - lateness(b.planned) ||
        Number(b.expected) - Number(a.expected) ||
        b.planned.expected_sqnr_db - a.planned.expected_sqnr_db ||
        a.rank - b.rank,
    )
    .slice(0, MOST_PLANNED)
  return { plan: plan.map(({ planned }) => planned), left_out }
}

const lateness = ({ method }: PlannedAttempt): number => (method === 'distillation' ? 1 : 0)

const hasTargets = ({ target_size_bytes, target_latency_ms }: SearchAsked): boolean =>
  target_size_bytes !== null || target_latency_ms !== null

/** Those made on request are asked where their precision is named, where everything may be tried, or where targets want more. */
const isAsked = ({ method, on_request, precisions = [] }: Optimizer, asked: SearchAsked): boolean => {
  if (asked.method === 'auto' ? method === 'custom' : method !== asked.method) return false
  const { precision } = wishesOf(asked.metadata)
  if (on_request === undefined) return true
  if (precision !== undefined && precision !== 'auto') return precisions.includes(precision)
  return asked.method === 'auto' || precision === 'auto' || hasTargets(asked)
}

/** Why an optimizer is not even asked. */
const strangerTo = ({ method, precisions }: Optimizer, asked: SearchAsked): string | undefined => {
  const { precision } = wishesOf(asked.metadata)
  if (precision !== undefined && precision !== 'auto' && precisions?.includes(precision) === false)
    return `Makes ${precisions.join(' or ')}, asked for ${precision}`
  return method === 'distillation' && asked.method === 'auto' && !hasTargets(asked)
    ? 'Distillation is left for targets that nothing milder meets: set target_size or target_latency, or the method distillation'
    : undefined
}

const plannedFrom = (optimizer: Optimizer, inspection: Inspection, settings: PlannedAttempt['settings']): PlannedAttempt => {
  const expected = optimizer.expects?.(inspection, settings)
  return {
    optimizer: optimizer.name,
    method: optimizer.method,
    settings,
    expected_sqnr_db: expected?.sqnr_db ?? 0,
    expected_size_bytes: expected?.size_bytes ?? null,
    ...(expected?.family !== undefined && { family: expected.family }),
    ...(expected?.rescues !== undefined && { rescues: expected.rescues }),
    ...(expected?.least_bytes !== undefined && { least_size_bytes: expected.least_bytes }),
    ...(expected?.p50_share !== undefined && { expected_p50_share: expected.p50_share }),
  }
}
