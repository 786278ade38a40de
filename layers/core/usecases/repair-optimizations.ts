import { errorChain, isPlatformError } from '../contract/errors.ts'
import { OptimizedModel } from '../domain/optimization.ts'
import type { App } from '../ports/app.ts'
import { cleanUpOptimization } from './clean-up-optimization.ts'
import { everyStored } from './every-stored.ts'
import { RUNNING_OPTIMIZATIONS } from './optimization-records.ts'

/**
 * Optimisations that say they run but that no execution works on: started again when the host died before the start, ended as
 * failed when the execution itself ended without a word. Answers how many it touched.
 */
export const repairOptimizations = async (
  app: Pick<App, 'records' | 'artifacts' | 'workflows' | 'now' | 'log'>,
): Promise<number> => {
  let repaired = 0
  for await (const { pk, sk } of everyStored(app.records, { index: 'worklist', pk: RUNNING_OPTIMIZATIONS })) {
    const stored = await app.records.get({ pk, sk })
    if (!stored) continue
    const { id, organization_id, status } = OptimizedModel.parse(stored.body)
    const execution = await app.workflows.status('optimize-model', id)
    if (status !== 'optimizing' || execution?.state === 'running') continue
    const ref = { organization_id, optimization_id: id }
    try {
      if (execution === undefined) await app.workflows.start('optimize-model', id, ref)
      else await cleanUpOptimization(app, ref, execution.error)
      repaired += 1
    } catch (error) {
      app.log.warn('optimization not repaired', {
        optimization_id: id,
        code: isPlatformError(error) ? error.code : 'internal',
        cause: errorChain(error),
      })
    }
  }
  return repaired
}
