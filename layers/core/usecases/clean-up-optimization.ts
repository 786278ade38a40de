import { isPlatformError } from '../contract/errors.ts'
import type { App } from '../ports/app.ts'
import { changeOptimization, type OptimizationRef, withoutArtifacts } from './optimization-records.ts'

/**
 * The end of every optimisation: what failed on the way is written into the record, and everything but the published file goes.
 * Attempts then name no artifact any more, for none is left.
 */
export const cleanUpOptimization = async (
  app: Pick<App, 'records' | 'artifacts' | 'now'> & Partial<Pick<App, 'workbench'>>,
  ref: OptimizationRef,
  failure: { code: string; detail: string } | undefined,
): Promise<{ removed: number }> => {
  const kept = await settle(app, ref, failure)
  const folder = `optimizations/${ref.organization_id}/${ref.optimization_id}`
  // Before the files go: what still runs would write them again.
  await app.workbench?.abandon?.(folder)
  const keys = await app.artifacts.list(`${folder}/`)
  const left_over = keys.filter((key) => key !== kept)
  for (const key of left_over) await app.artifacts.remove(key)
  return { removed: left_over.length }
}

/** Answers the artifact to keep. An optimisation whose record is gone keeps nothing. */
const settle = async (
  app: Pick<App, 'records' | 'now'>,
  ref: OptimizationRef,
  failure: { code: string; detail: string } | undefined,
): Promise<string | null> => {
  try {
    const error = failure ? `${failure.code}: ${failure.detail}` : 'The optimisation was stopped before it came to an end'
    const { storage_path } = await changeOptimization(app, ref, (current) => ({
      ...current,
      attempts: withoutArtifacts(current.attempts),
      status: 'failed',
      metadata: { ...current.metadata, error },
    }))
    return storage_path
  } catch (thrown) {
    if (isPlatformError(thrown, 'not_found')) return null
    throw thrown
  }
}
