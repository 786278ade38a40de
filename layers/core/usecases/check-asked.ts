import { PlatformError } from '../contract/errors.ts'
import { OptimizationWishes } from '../domain/accuracy-gate.ts'
import type { JsonObject } from '../domain/json.ts'
import type { Inspection } from '../domain/model.ts'
import { misspelt } from '../domain/spelling.ts'
import type { Optimizer } from '../ports/optimizer.ts'
import { planSearch, type SearchAsked } from './plan-search.ts'

/** Every member of metadata that something here reads; all others are the caller's own. */
export const membersRead = (optimizers: readonly Optimizer[]): string[] => [
  ...new Set([...Object.keys(OptimizationWishes.shape), ...optimizers.flatMap(({ reads = [] }) => reads)]),
]

/** Fails with `invalid_request` for a member spelt nearly as one that is read: nobody would notice that it does nothing. */
export const checkSpelling = (optimizers: readonly Optimizer[], metadata: JsonObject): void => {
  const known = membersRead(optimizers)
  for (const name of Object.keys(metadata)) {
    const meant = misspelt(name, known)
    if (meant === undefined) continue
    const detail = `metadata.${name} is read by nothing; did you mean ${meant}?`
    throw new PlatformError('invalid_request', detail, { errors: [{ pointer: `/metadata/${name}`, detail }] })
  }
}

/** Fails with `invalid_request` and each optimizer's reason where none has a candidate to offer, before anything is stored. */
export const checkCandidates = (
  optimizers: readonly Optimizer[],
  inspection: Inspection | undefined | null,
  asked: SearchAsked,
): void => {
  if (!inspection) return
  const { plan, left_out } = planSearch(optimizers, inspection, asked)
  if (plan.length > 0) return
  throw new PlatformError('invalid_request', nothingToTry(left_out))
}

/** Why no candidate can be tried: what optimizers say alike is said once, with all their names. */
export const nothingToTry = (left_out: readonly { optimizer: string; reason: string }[]): string => {
  const by_reason = Map.groupBy(left_out, ({ reason }) => reason)
  const reasons = [...by_reason].map(([reason, rows]) => `${rows.map(({ optimizer }) => optimizer).join(', ')}: ${reason}`)
  return `No candidate can be tried${reasons.length > 0 ? `. ${reasons.join('; ')}` : ' by this method'}`
}
