import { PlatformError } from '../contract/errors.ts'
import { chooseCandidate } from '../domain/choose-candidate.ts'
import type { App } from '../ports/app.ts'
import {
  changeOptimization,
  findOptimization,
  type OptimizationRef,
  optimizationArtifact,
  withoutArtifacts,
} from './optimization-records.ts'

/**
 * Publish the chosen candidate.
 *
 * 1. Its bytes are stored under the name that lasts, checked against what was measured.
 * 2. The record becomes `completed`, with the figures, in the transaction that moves the count.
 */
export const publishOptimized = async (
  app: Pick<App, 'records' | 'artifacts' | 'now'>,
  ref: OptimizationRef,
  chosen: string | null,
): Promise<{ published: boolean }> => {
  const { optimized } = await findOptimization(app, ref.organization_id, ref.optimization_id)
  const attempt = optimized.attempts.find(({ artifact }) => artifact === chosen)
  if (chosen === null || !attempt?.sha256 || optimized.status !== 'optimizing')
    return { published: optimized.status === 'completed' }
  const storage_path = optimizationArtifact(ref.organization_id, ref.optimization_id, 'model.onnx')
  const { size_bytes, sha256 } = await app.artifacts.put(storage_path, await app.artifacts.read(chosen), {
    sha256: attempt.sha256,
  })
  await changeOptimization(app, ref, (current) => {
    const choice = chooseCandidate(current.attempts, current)
    if (choice.outcome !== 'completed')
      throw new PlatformError('internal', `Optimisation ${ref.optimization_id} lost its chosen candidate`)
    const published = { ...attempt, verdict: 'published' as const, artifact: storage_path }
    return {
      ...current,
      ...choice.result,
      status: 'completed',
      storage_path,
      size_bytes,
      sha256,
      attempts: withoutArtifacts(current.attempts).with(choice.index, published),
    }
  })
  return { published: true }
}
