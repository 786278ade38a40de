import { notFound } from '../contract/errors.ts'
import type { JsonObject } from '../domain/json.ts'
import { type Attempt, OptimizedModel, OptimizedModelReply } from '../domain/optimization.ts'
import { sameAttempt } from '../domain/search-state.ts'
import type { App } from '../ports/app.ts'
import { countChange } from './count-by-status.ts'
import { organizationKey } from './record-keys.ts'
import { retryConflicts } from './retry-conflicts.ts'

/** Optimisations are `optimization#<id>`; those still running stand in this worklist, so that none is forgotten after a crash. */
export const RUNNING_OPTIMIZATIONS = 'optimizations#optimizing'

export const optimizationKey = (organization_id: string, id: string) => organizationKey(organization_id, 'optimization', id)

/** Where an optimisation keeps its files; `name` is one segment. */
export const optimizationArtifact = (organization_id: string, id: string, name: string): string =>
  `optimizations/${organization_id}/${id}/${name}`

export const optimizedModelReply = (optimized: OptimizedModel): OptimizedModelReply => OptimizedModelReply.parse(optimized)

/** Fails with `not_found`, also for what was deleted. */
export const findOptimization = async (
  app: Pick<App, 'records'>,
  organization_id: string,
  id: string,
): Promise<{ optimized: OptimizedModel; version: string }> => {
  const stored = await app.records.get(optimizationKey(organization_id, id))
  const optimized = stored && OptimizedModel.parse(stored.body)
  if (!stored || !optimized || optimized.deleted_at !== undefined) throw notFound('Optimised model', id)
  return { optimized, version: stored.version }
}

/** The operation that stores it, with its place in the worklist while it runs. */
export const putOptimization = (optimized: OptimizedModel, expect: 'absent' | { version: string }) => ({
  put: {
    ...optimizationKey(optimized.organization_id, optimized.id),
    body: OptimizedModel.parse(optimized) satisfies JsonObject,
    ...(optimized.status === 'optimizing' && {
      worklist: { pk: RUNNING_OPTIMIZATIONS, sk: `${optimized.created_at}#${optimized.id}` },
    }),
  },
  expect,
})

/**
 * Changes an optimisation that still runs, with its count when the status moves; one that ended stays as it ended, so a step
 * that runs twice does no harm. Answers what is stored afterwards.
 */
export const changeOptimization = (
  app: Pick<App, 'records' | 'now'>,
  { organization_id, optimization_id }: OptimizationRef,
  change: (optimized: OptimizedModel) => OptimizedModel,
): Promise<OptimizedModel> => {
  return retryConflicts(async () => {
    const { optimized, version } = await findOptimization(app, organization_id, optimization_id)
    if (optimized.status !== 'optimizing') return optimized
    const changed = { ...change(optimized), updated_at: app.now().toISOString() }
    await app.records.write([
      putOptimization(changed, { version }),
      ...(await countChange(app, {
        organization_id,
        kind: 'optimization',
        id: optimization_id,
        from: optimized.status,
        to: changed.status,
      })),
    ])
    return changed
  })
}

/** What every step of the pipeline starts from. */
export interface OptimizationRef {
  organization_id: string
  optimization_id: string
}

/**
 * Notes attempts, each in the place it already has when it was noted before. `seconds` of computing are added to the bill.
 */
export const noteAttempts = (
  app: Pick<App, 'records' | 'now'>,
  ref: OptimizationRef,
  noted: readonly Attempt[],
  seconds: number,
): Promise<OptimizedModel> =>
  changeOptimization(app, ref, (optimized) => ({
    ...optimized,
    attempts: withNoted(optimized.attempts, noted),
    compute_seconds: Math.round((optimized.compute_seconds + seconds) * 1000) / 1000,
  }))

const withNoted = (attempts: readonly Attempt[], noted: readonly Attempt[]): Attempt[] => {
  const all = [...attempts]
  for (const attempt of noted) {
    const at = all.findIndex((known) => sameAttempt(known, attempt))
    all.splice(at < 0 ? all.length : at, at < 0 ? 0 : 1, { ...attempt, reason: shortened(attempt.reason) })
  }
  return all
}

/** Reasons name nodes and tensors, and models may give these names of any length; a record holds 350 kB. */
const MOST_REASON = 1500
const shortened = (reason: string): string => (reason.length <= MOST_REASON ? reason : `${reason.slice(0, MOST_REASON)}…`)

/** As they are told once candidates' files are removed. */
export const withoutArtifacts = (attempts: readonly Attempt[]): Attempt[] =>
  attempts.map(({ artifact: _, ...attempt }) => attempt)
