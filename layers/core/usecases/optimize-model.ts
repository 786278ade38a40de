import { PlatformError } from '../contract/errors.ts'
import type { BodyOf, ReplyOf } from '../contract/routes.ts'
import { OptimizationWishes } from '../domain/accuracy-gate.ts'
import type { JsonObject } from '../domain/json.ts'
import type { Model } from '../domain/model.ts'
import { defaultBudget_s } from '../domain/next-attempt.ts'
import type { OptimizationMethod, OptimizedModel } from '../domain/optimization.ts'
import type { Principal } from '../domain/principal.ts'
import { sizeBytesOf } from '../domain/size.ts'
import type { App } from '../ports/app.ts'
import type { Optimizer } from '../ports/optimizer.ts'
import { countChange } from './count-by-status.ts'
import { findActiveModel } from './find-model.ts'
import { optimizationArtifact, putOptimization } from './optimization-records.ts'
import { retryConflicts } from './retry-conflicts.ts'
import { type RowsMember, suppliedRows } from './supplied-rows.ts'

type Parts = Pick<App, 'records' | 'artifacts' | 'workflows' | 'optimizers' | 'now' | 'newId'>

/**
 * Start an optimisation.
 *
 * 1. The model must be active, of a framework that can be optimised, the method one that is here, and with something to try.
 * 2. Store supplied rows, then the record, `optimizing`, with its count.
 * 3. Start the pipeline; should the host die before that, the repair of what is in flight starts it.
 */
export const optimizeModel = async (
  app: Parts,
  principal: Principal,
  { model_id, ...asked }: BodyOf<'optimize-model'> & { model_id: string },
): Promise<ReplyOf<'optimize-model'>> => {
  const { organization_id } = principal
  const { model } = await findActiveModel(app, organization_id, model_id)
  checkWishes(asked.metadata)
  checkFramework(model)
  // Loaded here: every function of the models would carry it otherwise.
  const { checkCandidates, checkSpelling } = await import('./check-asked.ts')
  const { searchAsked } = await import('./plan-candidates.ts')
  const optimizers = await app.optimizers()
  checkMethod(optimizers, asked.method, asked.metadata)
  checkSpelling(optimizers, asked.metadata)
  const id = app.newId('opt')
  const wanted = newOptimization({
    id,
    model,
    asked,
    artifacts: { calibration_artifact: null, evaluation_artifact: null },
    now: app.now().toISOString(),
  })
  const has_data = asked.calibration_data != null || asked.evaluation_data != null
  checkCandidates(optimizers, model.inspection, { ...searchAsked(wanted), has_data })
  const optimized = { ...wanted, ...(await storedRows(app, { organization_id, id }, asked)) }
  await retryConflicts(async () =>
    app.records.write([
      putOptimization(optimized, 'absent'),
      ...(await countChange(app, { organization_id, kind: 'optimization', id, to: optimized.status })),
    ]),
  )
  await app.workflows.start('optimize-model', id, { organization_id, optimization_id: id })
  const { original_model_id, optimization_method, status, created_at } = optimized
  return { id, original_model_id, optimization_method, status, created_at }
}

type Rows = Pick<OptimizedModel, 'calibration_artifact' | 'evaluation_artifact'>

/** Where one of both is not usable nothing of the other stays: no record would ever lead to it. */
const storedRows = async (
  app: Parts,
  ref: { organization_id: string; id: string },
  { calibration_data, evaluation_data }: Pick<BodyOf<'optimize-model'>, RowsMember>,
): Promise<Rows> => {
  try {
    return {
      calibration_artifact: await suppliedRows(app, ref, 'calibration_data', calibration_data),
      evaluation_artifact: await suppliedRows(app, ref, 'evaluation_data', evaluation_data),
    }
  } catch (error) {
    const stored = await app.artifacts.list(optimizationArtifact(ref.organization_id, ref.id, ''))
    for (const key of stored) await app.artifacts.remove(key)
    throw error
  }
}

/** Fails with `invalid_request` naming the member of metadata that the platform reads and could not. */
const checkWishes = (metadata: JsonObject): void => {
  const parsed = OptimizationWishes.safeParse(metadata)
  if (parsed.success) return
  const errors = parsed.error.issues.map(({ path, message }) => ({
    pointer: `/metadata/${path.map(String).join('/')}`,
    detail: message,
  }))
  throw new PlatformError('invalid_request', `metadata.${parsed.error.issues[0]?.path.map(String).join('.')} is not usable`, {
    errors,
  })
}

const checkFramework = ({ id, framework, inspection }: Model): void => {
  if (framework === 'onnx') return
  const how =
    framework === 'pytorch'
      ? 'export the module with torch.onnx.export(model, example, "model.onnx") and upload that file; a state_dict alone holds no graph to export'
      : 'convert it with python -m tf2onnx.convert --saved-model DIR --output model.onnx and upload that file'
  throw new PlatformError(
    'framework_unsupported',
    `Model ${id} is ${framework}${inspection ? ` (${inspection.format})` : ''}; optimising wants ONNX: ${how}`,
    { facts: { framework, supported: ['onnx'] } },
  )
}

/** Known methods and precisions without an optimizer here are `unavailable_here`, listing what is. */
const checkMethod = (optimizers: readonly Optimizer[], method: OptimizationMethod, metadata: JsonObject): void => {
  const fitting = optimizers.filter((optimizer) =>
    method === 'auto' ? optimizer.method !== 'custom' : optimizer.method === method,
  )
  if (fitting.length === 0) {
    const available = [...new Set(optimizers.map((optimizer) => optimizer.method))]
    throw new PlatformError(
      'unavailable_here',
      `Method ${method} has no optimizer here; available: ${available.join(', ') || 'none'}`,
      {
        facts: { available },
      },
    )
  }
  const { precision } = OptimizationWishes.parse(metadata)
  const known = [...new Set(fitting.flatMap((optimizer) => optimizer.precisions ?? []))]
  if (precision === undefined || precision === 'auto' || known.length === 0 || known.includes(precision)) return
  throw new PlatformError(
    'unavailable_here',
    `Precision ${precision} has no optimizer here; available: ${known.join(', ')}, auto`,
    {
      facts: { available: [...known, 'auto'] },
    },
  )
}

const newOptimization = (parts: {
  id: string
  model: Model
  asked: BodyOf<'optimize-model'>
  artifacts: Rows
  now: string
}): OptimizedModel => {
  const { id, model, asked, artifacts, now } = parts
  return {
    id,
    organization_id: model.organization_id,
    original_model_id: model.id,
    optimization_method: asked.method,
    status: 'optimizing',
    storage_path: null,
    size_reduction_percentage: null,
    latency_reduction_percentage: null,
    accuracy_change_percentage: null,
    accuracy_source: null,
    target_met: null,
    created_at: now,
    updated_at: now,
    metadata: asked.metadata,
    target_size_bytes: asked.target_size ? (sizeBytesOf(asked.target_size) ?? null) : null,
    target_latency_ms: asked.target_latency ?? null,
    target: asked.target ?? 'this-machine',
    time_budget_s: asked.time_budget_s ?? defaultBudget_s(model.size_bytes),
    ...artifacts,
    accuracy_gate: asked.accuracy_gate ?? null,
    task: asked.task ?? null,
    plan: [],
    attempts: [],
    size_bytes: null,
    sha256: null,
    compute_seconds: 0,
  }
}
