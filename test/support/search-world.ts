import { judgeCandidate } from '../../layers/core/domain/judge-candidate.ts'
import { defaultBudget_s, type Next, nextAttempt } from '../../layers/core/domain/next-attempt.ts'
import type { Attempt, OptimizationMethod, PlannedAttempt } from '../../layers/core/domain/optimization.ts'
import type { SearchState } from '../../layers/core/domain/search-state.ts'

/** What a candidate of a simulated world is: shares of the original's bytes and p50, noise of its own, milliseconds it takes. */
export interface Nature {
  method?: OptimizationMethod
  family?: string
  size: number
  p50?: number
  sqnr: number
  takes_ms?: number
  trains_s?: number
  /** By how much its p50 turns out longer when it is measured again. */
  slower_again?: number
  rescues?: string
  expected?: { size?: number | null; sqnr?: number; p50?: number }
  fails?: true
}
export type World = Record<string, Nature>

const ORIGINAL_BYTES = 10_000_000

export const planOf = (world: World): PlannedAttempt[] =>
  Object.entries(world)
    .map(([optimizer, nature]) => ({
      optimizer,
      method: nature.method ?? ('quantization' as const),
      settings: { of: optimizer, ...(nature.trains_s !== undefined && { fine_tune_s: nature.trains_s }) },
      expected_sqnr_db: nature.expected?.sqnr ?? nature.sqnr,
      expected_size_bytes: nature.expected?.size === undefined ? nature.size * ORIGINAL_BYTES : nature.expected.size,
      ...(nature.family !== undefined && { family: nature.family }),
      ...(nature.rescues !== undefined && { rescues: nature.rescues }),
      ...(nature.expected?.p50 !== undefined && { expected_p50_share: nature.expected.p50 }),
    }))
    .toSorted((a, b) => b.expected_sqnr_db - a.expected_sqnr_db)

const measured = (world: World, { optimizer, base }: { optimizer: string; base?: number }, attempts: readonly Attempt[]) => {
  const nature = world[optimizer]
  if (!nature) throw new Error(`The world holds no ${optimizer}`)
  const under = base === undefined ? undefined : attempts[base]
  const [size, p50, noise] = under
    ? [
        (under.candidate?.size_bytes ?? 0) / ORIGINAL_BYTES,
        (under.candidate?.p50_ms ?? 0) / 10,
        10 ** (-(under.fidelity?.sqnr_db ?? 0) / 10),
      ]
    : [1, 1, 0]
  return {
    original: { size_bytes: ORIGINAL_BYTES, p50_ms: 10, p95_ms: 11, runs: 50 },
    candidate: {
      size_bytes: Math.round(size * nature.size * ORIGINAL_BYTES),
      p50_ms: p50 * (nature.p50 ?? nature.size) * 10,
      p95_ms: 9,
      runs: 50,
    },
    fidelity: {
      sqnr_db: -10 * Math.log10(noise + 10 ** (-nature.sqnr / 10)),
      cosine: 1,
      max_abs_error: 0,
      top1_agreement: null,
      rows: 128,
      inputs: 'supplied' as const,
    },
  }
}

export interface Told {
  attempts: Attempt[]
  /** In the order they were tried; upon another attempt as `name@base`. */
  tried: string[]
  /** What was measured once more, in order. */
  confirmed: string[]
  measure_ms: number[]
  end: Extract<Next, { step: 'done' }>
  spent_ms: number
}

/** Runs a whole search through a simulated world, as the platform and the command do with the real one. */
export function searched(
  world: World,
  asked: Partial<SearchState['asked']> = {},
  budget_s = defaultBudget_s(ORIGINAL_BYTES),
): Told {
  const wanted = { method: 'auto' as const, metadata: {}, target_size_bytes: null, target_latency_ms: null, ...asked }
  const plan = planOf(world)
  const told = {
    attempts: [] as Attempt[],
    tried: [] as string[],
    confirmed: [] as string[],
    measure_ms: [] as number[],
    spent_ms: 0,
  }
  for (let turn = 0; turn < 100; turn += 1) {
    const { attempts, spent_ms } = told
    const state = { plan, attempts, asked: wanted, original_size_bytes: ORIGINAL_BYTES, spent_ms, budget_ms: budget_s * 1000 }
    const next = nextAttempt(state)
    told.attempts.push(...next.skipped)
    if (next.step === 'done') return { ...told, end: next }
    if (next.step === 'confirm') {
      const { place, measure_ms } = next
      const known = told.attempts[place]
      if (!known) throw new Error(`There is no attempt ${place} to confirm`)
      told.confirmed.push(known.name)
      told.spent_ms += measure_ms
      const p50 = (known.candidate?.p50_ms ?? 0) * (world[known.name]?.slower_again ?? 1)
      const again = {
        ...measured(world, { optimizer: known.name, ...(known.base !== undefined && { base: known.base }) }, attempts),
      }
      const evidence = { ...again, candidate: { ...again.candidate, p50_ms: p50 } }
      told.attempts[place] = { ...known, ...evidence, ...judgeCandidate(evidence, wanted), confirmed: true }
      continue
    }
    const { optimizer: name, settings, base, measure_ms } = next
    told.tried.push(base === undefined ? name : `${name}@${attempts[base]?.name}`)
    told.measure_ms.push(measure_ms)
    const takes_ms = world[name]?.takes_ms ?? 500
    told.spent_ms += takes_ms + measure_ms
    const made = { name, settings, ...(base !== undefined && { base }), build_ms: takes_ms }
    const evidence = measured(world, next, told.attempts)
    told.attempts.push(
      world[name]?.fails
        ? { ...made, verdict: 'failed', reason: 'No' }
        : { ...made, ...evidence, ...judgeCandidate(evidence, wanted), artifact: name },
    )
  }
  throw new Error('The search did not end')
}
