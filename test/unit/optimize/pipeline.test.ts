import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import type { SuppliedRows } from '../../../layers/core/contract/routes/models.ts'
import { type Dataset, datasetArtifact } from '../../../layers/core/domain/dataset.ts'
import type { JsonObject } from '../../../layers/core/domain/json.ts'
import type { Model } from '../../../layers/core/domain/model.ts'
import type { OptimizedModel, OptimizedModelReply } from '../../../layers/core/domain/optimization.ts'
import { cancelOptimization } from '../../../layers/core/usecases/cancel-optimization.ts'
import { countsByStatus } from '../../../layers/core/usecases/count-by-status.ts'
import { putDataset } from '../../../layers/core/usecases/dataset-records.ts'
import { deleteModel } from '../../../layers/core/usecases/delete-model.ts'
import { getOptimizedModel } from '../../../layers/core/usecases/get-optimized-model.ts'
import { listOptimizedModels } from '../../../layers/core/usecases/list-optimized-models.ts'
import { optimizeModel } from '../../../layers/core/usecases/optimize-model.ts'
import { repairOptimizations } from '../../../layers/core/usecases/repair-optimizations.ts'
import { resolveModel } from '../../../layers/core/usecases/resolve-model.ts'
import { blockWeights } from '../../../layers/optimizers/block-weights.ts'
import { dynamicInt8 } from '../../../layers/optimizers/dynamic-int8.ts'
import { halfPrecision } from '../../../layers/optimizers/half-precision.ts'
import { structuredPruning } from '../../../layers/optimizers/structured-pruning.ts'
import { npyBytes, npzBytes } from '../../support/arrays.ts'
import { bytesFrom } from '../../support/artifacts.ts'
import { bad, copying } from '../../support/extension-optimizers.ts'
import { editor, type OptimizationLab, optimizationLab, realModel, stranger } from '../../support/optimization-lab.ts'

/** The path is tested, not the ladder: a few rows take it as well as all do. */
const rows = [dynamicInt8, halfPrecision, blockWeights, structuredPruning]
/** Candidates of one optimizer, whatever a busy machine makes of their speed. */
const one_kind = { allow_slower: true, precision: 'int8' }
const one_row = { optimizers: [dynamicInt8] }
let lab: OptimizationLab
let alexa: Model
let mel: Model
beforeAll(async () => {
  lab = await optimizationLab({ optimizers: rows })
  alexa = await lab.addModel(realModel('alexa_v0.1.onnx'))
  mel = await lab.addModel(realModel('melspectrogram.onnx'))
})
afterAll(() => lab.close())

const storedDataset = async ({ app }: OptimizationLab, bytes: Buffer): Promise<Dataset> => {
  const storage_path = datasetArtifact('org_1', 'dts_1', 'rows.jsonl')
  const { size_bytes, sha256 } = await app.artifacts.put(storage_path, Readable.from([bytes]))
  const created_at = app.now().toISOString()
  const dataset: Dataset = {
    id: 'dts_1',
    organization_id: 'org_1',
    name: 'rows',
    status: 'active',
    format: 'jsonl',
    rows: 90,
    arrays: [],
    storage_path,
    file_name: 'rows.jsonl',
    size_bytes,
    sha256,
    created_at,
    updated_at: created_at,
    expires_at: null,
  }
  await app.records.write([putDataset(dataset, 'absent')])
  return dataset
}

const asked = { model_id: '', method: 'quantization' as const, metadata: {} }

describe('an optimisation of a trained model', () => {
  it('completes with what was measured, published under a name that lasts, and nothing left over', async () => {
    // A machine may be busy enough to time a faster model as slower: here it is the path that is tested.
    const done = await lab.optimize(alexa, { metadata: { precision: 'int8', allow_slower: true } })
    expect(done).toMatchObject({
      status: 'completed',
      accuracy_source: 'none',
      accuracy_change_percentage: null,
      target_met: null,
    })
    expect(done.size_reduction_percentage).toBeGreaterThan(70)
    expect(done.metadata).toEqual({ precision: 'int8', allow_slower: true })
    const published = done.attempts.find(({ verdict }) => verdict === 'published')
    expect(published).toMatchObject({ name: 'dynamic-int8', artifact: done.storage_path, sha256: done.sha256 })
    expect(published?.fidelity?.sqnr_db).toBeGreaterThan(30)
    expect(published?.original?.runs).toBeGreaterThanOrEqual(30)
    expect(published?.confirmed).toBe(true)
    expect(done.attempts.filter(({ confirmed }) => confirmed)).toHaveLength(1)
    const bytes = await bytesFrom(await lab.app.artifacts.read(done.storage_path ?? ''))
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(done.sha256)
    expect(bytes.length).toBe(done.size_bytes)
    expect(await lab.app.artifacts.list(`optimizations/org_1/${done.id}/`)).toEqual([done.storage_path])
    expect(done.compute_seconds).toBeGreaterThan(0)
    expect(done.plan.map(({ optimizer }) => optimizer)).toContain('dynamic-int8')
    expect(published?.cost_per_1000).toMatchObject({ target: 'this-machine', original_usd: null, candidate_usd: null })
    const { pareto } = await getOptimizedModel(lab.app, editor, { model_id: alexa.id, optimized_id: done.id })
    expect(pareto.every((place) => done.attempts[place]?.candidate !== undefined)).toBe(true)
    const resolved = await resolveModel(lab.app, 'org_1', { model_id: alexa.id, model_type: 'optimized' })
    expect(resolved.resolved_model_id).toBe(done.id)
  })

  it('fails when no candidate is faithful, with the error and the measured percentages', async () => {
    const done = await lab.optimize(mel, { metadata: { accuracy_gate: { sqnr_db: 190 } } })
    expect(done).toMatchObject({ status: 'failed', storage_path: null, size_bytes: null, target_met: null })
    expect(done.metadata.error).toMatch(/No candidate was acceptable.*SQNR -?\d/)
    expect(done.size_reduction_percentage).toEqual(expect.any(Number))
    expect(done.latency_reduction_percentage).toEqual(expect.any(Number))
    expect(done.attempts.every(({ verdict, artifact }) => verdict !== 'accepted' && artifact === undefined)).toBe(true)
    expect(await lab.app.artifacts.list(`optimizations/org_1/${done.id}/`)).toEqual([])
  })

  it('meets a size target, or completes short of it and says so', async () => {
    const met = await lab.optimize(alexa, { target_size: '0.5MB' })
    expect(met).toMatchObject({ status: 'completed', target_met: true, target_size_bytes: 500_000 })
    const missed = await lab.optimize(alexa, { target_size: '10KB' })
    expect(missed).toMatchObject({ status: 'completed', target_met: false })
  })

  it('is measured on supplied rows', async () => {
    const values = Float32Array.from({ length: 20 * 16 * 96 }, (_, at) => Math.sin(at / 7))
    const npz = npzBytes({ 'any.npy': npyBytes('<f4', [20, 16, 96], new Uint8Array(values.buffer)) }, 8)
    const calibration_data = `data:application/octet-stream;base64,${npz.toString('base64')}`
    const done = await lab.optimize(alexa, { calibration_data, metadata: one_kind })
    expect(done.attempts[0]?.fidelity).toMatchObject({ inputs: 'supplied', rows: 20 })
    const wrong = npyBytes('<f4', [20, 5], new Uint8Array(400))
    const failed = await lab.optimize(alexa, { calibration_data: `data:;base64,${wrong.toString('base64')}` })
    expect(failed).toMatchObject({ status: 'failed' })
    expect(failed.metadata.error).toContain('has shape [20,5]; wanted [samples, 16, 96]')
    // Found once, not by candidate after candidate.
    expect(failed.attempts.filter(({ verdict }) => verdict === 'failed')).toHaveLength(1)
  })

  it('is judged by evaluation rows, inside the request or in a dataset', async () => {
    const input = alexa.inspection?.inputs?.[0]?.name ?? ''
    const lines = Array.from({ length: 90 }, (_, row) => {
      const frames = Array.from({ length: 16 }, (_, at) => Array.from({ length: 96 }, (__, to) => Math.sin((at * 96 + to) * row)))
      return JSON.stringify({ inputs: { [input]: frames } })
    })
    const evaluation_data = `data:application/jsonl;base64,${Buffer.from(lines.join('\n')).toString('base64')}`
    const done = await lab.optimize(alexa, { evaluation_data, metadata: one_kind })
    expect(done.evaluation_artifact).toMatch(/\/evaluation\.jsonl$/)
    const dataset = await storedDataset(lab, Buffer.from(lines.join('\n')))
    const again = await lab.optimize(alexa, { evaluation_data: { dataset_id: dataset.id }, metadata: one_kind })
    expect(again.evaluation_artifact).toBe(dataset.storage_path)
    const measured = ({ attempts }: OptimizedModel) => attempts.find(({ fidelity }) => fidelity)?.fidelity
    expect(measured(done)).toMatchObject({ inputs: 'supplied', rows: expect.any(Number) })
    expect(measured(again)).toEqual(measured(done))
    // The dataset is its owner's: clean-up leaves it alone.
    expect(await lab.app.artifacts.stat(dataset.storage_path)).toBeDefined()
  })

  it('is for what it is asked for: target, gate, budget, and the price there', async () => {
    const done = await lab.optimize(alexa, {
      target: 'lambda-x86_64',
      accuracy_gate: { sqnr_db: 10 },
      time_budget_s: 7,
      metadata: one_kind,
    })
    expect(done).toMatchObject({
      target: 'lambda-x86_64',
      accuracy_gate: { sqnr_db: 10 },
      time_budget_s: 7,
      metadata: one_kind,
    })
    const [cost] = done.attempts.flatMap(({ cost_per_1000 }) => cost_per_1000 ?? [])
    expect(cost).toMatchObject({ target: 'lambda-x86_64', basis: expect.stringContaining('AWS Lambda x86_64 us-east-1 (') })
    // A request costs 0.2 millionths of a dollar by itself.
    expect(cost?.candidate_usd).toBeGreaterThan(0.0002)
    expect(cost?.candidate_usd).toBeLessThan(0.01)
  })

  it('publishes what holds when it is measured once more, else the next best', async () => {
    const measured: string[] = []
    const time = (p50_ms: number) => ({ size_bytes: 1000, p50_ms, p95_ms: p50_ms, runs: 30 })
    const other = await optimizationLab({
      optimizers: [halfPrecision],
      workbench: (real) => ({
        ...real,
        // The first candidate is fast once, and never again.
        measure: async ({ candidate, thorough = false }) => {
          measured.push(`${basename(candidate)}${thorough ? ' again' : ''}`)
          const p50_ms = basename(candidate) !== 'candidate-0.onnx' ? 7 : thorough ? 20 : 4
          const fidelity = {
            sqnr_db: 50,
            cosine: 1,
            max_abs_error: 0,
            top1_agreement: null,
            rows: 9,
            inputs: 'supplied' as const,
          }
          return { original: time(10), candidate: { ...time(p50_ms), size_bytes: 500 }, fidelity }
        },
      }),
    })
    try {
      const model = await other.addModel(realModel('alexa_v0.1.onnx'))
      const done = await other.optimize(model, { metadata: { precision: 'fp16' } })
      expect(measured).toEqual(['candidate-0.onnx', 'candidate-1.onnx', 'candidate-0.onnx again', 'candidate-1.onnx again'])
      expect(done).toMatchObject({ status: 'completed', latency_reduction_percentage: 30 })
      expect(done.attempts.map(({ verdict, confirmed }) => [verdict, confirmed])).toEqual([
        ['rejected', true],
        ['published', true],
      ])
    } finally {
      await other.close()
    }
  })

  it('is listed, counted and found for its own organisation only', async () => {
    const { body } = await listOptimizedModels(lab.app, editor, { model_id: alexa.id, query: { page: 1, limit: 50 } })
    if (!('statistics' in body)) throw new Error('wanted an envelope')
    expect(body.data.every(({ original_model_id }) => original_model_id === alexa.id)).toBe(true)
    expect(body.statistics.by_status).toMatchObject({ completed: expect.any(Number), failed: 1 })
    const counts = await countsByStatus(lab.app, 'org_1', 'optimization')
    expect(counts.optimizing ?? 0).toBe(0)
    expect(counts.failed).toBe(2)
    const [first] = body.data
    const found = await getOptimizedModel(lab.app, editor, { model_id: alexa.id, optimized_id: first?.id ?? '' })
    const { pareto, progress, ...rest } = found
    expect(rest).toEqual(first)
    expect(pareto.every((place) => rest.attempts[place]?.candidate !== undefined)).toBe(true)
    expect(progress).toMatchObject({
      tried: rest.attempts.filter(({ verdict }) => verdict !== 'skipped').length,
      planned: rest.plan.length,
      spent_s: rest.compute_seconds,
      budget_s: 7,
      doing: null,
    })
    await expect(getOptimizedModel(lab.app, editor, { model_id: mel.id, optimized_id: first?.id ?? '' })).rejects.toMatchObject({
      code: 'not_found',
    })
    await expect(listOptimizedModels(lab.app, stranger, { model_id: alexa.id, query: {} })).rejects.toMatchObject({
      code: 'not_found',
    })
  })
})

describe('an optimisation is refused', () => {
  const start = (
    model: Model,
    changes: {
      method?: 'custom' | 'quantization'
      metadata?: JsonObject
      calibration_data?: SuppliedRows
      evaluation_data?: SuppliedRows
    } = {},
    who = editor,
  ) => optimizeModel(lab.app, who, { ...asked, ...changes, model_id: model.id })

  it('for another organisation’s model, an inactive one, and formats that cannot be optimised yet', async () => {
    await expect(start(alexa, {}, stranger)).rejects.toMatchObject({
      code: 'not_found',
      message: `Model ${alexa.id} was not found`,
    })
    const inactive = await lab.addModel(realModel('alexa_v0.1.onnx'), { status: 'inactive' })
    await expect(start(inactive)).rejects.toMatchObject({ code: 'conflict', status: 409 })
    const torch = await lab.addModel(realModel('alexa_v0.1.onnx'), { framework: 'pytorch' })
    await expect(start(torch)).rejects.toMatchObject({
      code: 'framework_unsupported',
      message: expect.stringContaining('torch.onnx.export'),
    })
    const flow = await lab.addModel(realModel('alexa_v0.1.onnx'), { framework: 'tensorflow' })
    await expect(start(flow)).rejects.toMatchObject({
      code: 'framework_unsupported',
      message: expect.stringContaining('tf2onnx'),
    })
  })

  it('for methods and precisions that nothing here makes, listing what is', async () => {
    await expect(start(alexa, { method: 'custom' })).rejects.toMatchObject({
      code: 'unavailable_here',
      extras: { facts: { available: expect.arrayContaining(['quantization', 'pruning']) } },
    })
    await expect(start(alexa, { metadata: { precision: 'int2' } })).rejects.toMatchObject({
      code: 'unavailable_here',
      extras: { facts: { available: ['int8', 'fp16', 'int4', 'auto'] } },
    })
  })

  it('for wishes and calibration data that cannot be read', async () => {
    await expect(start(alexa, { metadata: { accuracy_gate: 7 } })).rejects.toMatchObject({
      code: 'invalid_request',
      extras: { errors: [{ pointer: expect.stringContaining('/metadata/accuracy_gate') }] },
    })
    const text = Buffer.from('text').toString('base64')
    for (const data of ['mod_123', 'data:;base64,AAAA', 'data:;base64,', `data:;base64,${text}`])
      for (const member of ['calibration_data', 'evaluation_data'])
        await expect(start(alexa, { [member]: data })).rejects.toMatchObject({
          code: 'invalid_request',
          extras: { errors: [{ pointer: `/${member}` }] },
        })
    await expect(start(alexa, { evaluation_data: { dataset_id: 'dts_none' } })).rejects.toMatchObject({ code: 'not_found' })
    await expect(start(alexa, { calibration_data: { deployment_id: 'dep_none' } })).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('optimizers of extensions', () => {
  it('are loaded by their module, judged like any other, and cannot take the platform along', async () => {
    const other = await optimizationLab({
      optimizers: [copying, ...bad],
      limits: { build_ms: 2000, memory_bytes: 400 * 2 ** 20 },
    })
    try {
      const model = await other.addModel(realModel('alexa_v0.1.onnx'))
      const done = await other.optimize(model, { method: 'custom' })
      expect(done.status).toBe('failed')
      const reasons = Object.fromEntries(done.attempts.map(({ name, verdict, reason }) => [name, `${verdict}: ${reason}`]))
      expect(reasons.copying).toMatch(/^rejected: Neither smaller nor faster/)
      expect(reasons.endless).toBe('failed: Optimizer endless did not answer within 2000 ms and was stopped')
      expect(reasons.greedy).toMatch(/^failed: Optimizer greedy was stopped at \d+ bytes of memory/)
      expect(reasons.dying).toBe('failed: Optimizer dying died by itself (exit code 7)')
      expect(reasons.broken).toMatch(/^failed: The candidate could not be run/)
      expect(reasons.reluctant).toBe('skipped: it is Saturday')
    } finally {
      await other.close()
    }
  })
})

describe('what a crash leaves', () => {
  it('goes on at the last finished step', async () => {
    const built: string[] = []
    let stopNow = () => {}
    const reached = new Promise<void>((resolve) => {
      stopNow = resolve
    })
    const first = await optimizationLab({
      ...one_row,
      workbench: (real) => ({
        build: async (order) => {
          built.push(`first ${basename(order.candidate)}`)
          return real.build(order)
        },
        measure: () => {
          stopNow()
          return new Promise(() => {})
        },
      }),
      grace_ms: 50,
    })
    const model = await first.addModel(realModel('alexa_v0.1.onnx'))
    const { id } = await optimizeModel(first.app, editor, { ...asked, metadata: { allow_slower: true }, model_id: model.id })
    await reached
    await first.close({ keep: true })
    const second = await optimizationLab({
      ...one_row,
      home: first.home,
      workbench: (real) => ({
        build: async (order) => {
          built.push(`second ${basename(order.candidate)}`)
          return real.build(order)
        },
        measure: (order) => real.measure(order),
      }),
    })
    try {
      expect(await second.ended(id)).toMatchObject({ status: 'completed' })
      expect(built.filter((name) => name.endsWith('candidate-0.onnx'))).toEqual(['first candidate-0.onnx'])
    } finally {
      await second.close()
    }
  })

  it('is ended as failed with the reason when a step cannot be repeated any more', async () => {
    const other = await optimizationLab({
      ...one_row,
      workbench: (real) => ({
        ...real,
        measure: async () => {
          throw new PlatformError('storage_full', 'no space left')
        },
      }),
    })
    try {
      const model = await other.addModel(realModel('alexa_v0.1.onnx'))
      const done = await other.optimize(model)
      expect(done).toMatchObject({ status: 'failed', metadata: { error: 'storage_full: no space left' } })
      expect(await other.app.artifacts.list('optimizations/')).toEqual([])
    } finally {
      await other.close()
    }
  })

  it('of files goes before the next candidate, unless their process still runs', async () => {
    // Linux numbers no process beyond 2^22.
    const [dead, predecessor, alive] = [2 ** 22 + 1, process.pid, process.ppid].map((pid) => `workbench-${pid}-abc`)
    const scratch = join(lab.home, 'scratch')
    for (const name of [dead, predecessor, alive]) mkdirSync(join(scratch, name ?? ''), { recursive: true })
    const none = { original: 'none', candidate: 'none', optimizer: 'dynamic-int8', settings: {}, calibration: null }
    await expect(lab.app.workbench.build(none)).rejects.toThrow()
    expect(readdirSync(scratch)).toEqual([alive])
  })

  it('is started again when the host died between the record and the start', async () => {
    const absent = { ...lab.app, workflows: { ...lab.app.workflows, start: async () => {} } }
    const { id } = await optimizeModel(absent, editor, { ...asked, metadata: { allow_slower: true }, model_id: alexa.id })
    expect(await repairOptimizations(lab.app)).toBe(1)
    expect(await lab.ended(id)).toMatchObject({ status: 'completed' })
    expect(await repairOptimizations(lab.app)).toBe(0)
  })
})

describe('an optimisation nobody wants any more', () => {
  /** A lab whose first measurement waits until told to go on. */
  const waiting = async () => {
    let goOn = () => {}
    const told = new Promise<void>((resolve) => {
      goOn = resolve
    })
    let measuring = () => {}
    const reached = new Promise<void>((resolve) => {
      measuring = resolve
    })
    const built: string[] = []
    const other = await optimizationLab({
      ...one_row,
      workbench: (real) => ({
        build: (order) => {
          built.push(order.candidate)
          return real.build(order)
        },
        measure: async (order) => {
          measuring()
          await told
          return real.measure(order)
        },
      }),
    })
    const model = await other.addModel(realModel('alexa_v0.1.onnx'))
    const { id } = await optimizeModel(other.app, editor, { ...asked, metadata: { allow_slower: true }, model_id: model.id })
    await reached
    return { other, model, id, goOn, built }
  }

  it('ends as failed before its next candidate when it was cancelled', async () => {
    const { other, id, goOn, built } = await waiting()
    try {
      await other.app.workflows.cancel('optimize-model', id)
      goOn()
      expect(await other.ended(id)).toMatchObject({
        status: 'failed',
        metadata: { error: 'cancelled: The optimisation was cancelled' },
      })
      expect(built).toHaveLength(1)
      expect(await other.app.artifacts.list('optimizations/')).toEqual([])
    } finally {
      await other.close()
    }
  })

  it('ends at once when it is cancelled by its own route, whatever it was doing, and leaves no process and no file', async () => {
    const { other, model, id, goOn } = await waiting()
    try {
      const at = { model_id: model.id, optimized_id: id }
      const before = await getOptimizedModel(other.app, editor, at)
      expect(before.progress).toMatchObject({ tried: 0, doing: expect.stringMatching(/^measuring /) })
      await expect(cancelOptimization(other.app, stranger, at)).rejects.toMatchObject({ code: 'not_found' })
      const cancelled = await cancelOptimization(other.app, editor, at)
      expect(cancelled).toMatchObject({ status: 'failed', metadata: { error: 'cancelled', allow_slower: true } })
      expect(cancelled.progress.doing).toBeNull()
      expect((await countsByStatus(other.app, 'org_1', 'optimization')).optimizing ?? 0).toBe(0)
      expect(await cancelOptimization(other.app, editor, at)).toEqual(cancelled)
      goOn()
      expect(await other.ended(id)).toMatchObject({ status: 'failed', metadata: { error: 'cancelled' }, storage_path: null })
      expect(await other.app.artifacts.list('optimizations/')).toEqual([])
      expect(await repairOptimizations(other.app)).toBe(0)
    } finally {
      await other.close()
    }
  })

  it('kills what it builds within seconds of being cancelled', async () => {
    const other = await optimizationLab({ optimizers: bad.filter(({ name }) => name === 'endless') })
    try {
      const model = await other.addModel(realModel('alexa_v0.1.onnx'))
      const { id } = await optimizeModel(other.app, editor, { ...asked, method: 'custom', model_id: model.id })
      const at = { model_id: model.id, optimized_id: id }
      const doing = async () => (await getOptimizedModel(other.app, editor, at)).progress.doing
      await vi.waitFor(async () => expect(await doing()).toMatch(/^building endless/), { timeout: 5000 })
      await cancelOptimization(other.app, editor, at)
      // Its own limit is a minute: that it ends sooner is the cancellation's doing.
      const done = await Promise.race([other.ended(id), new Promise((resolve) => setTimeout(resolve, 10_000))])
      expect(done).toMatchObject({ status: 'failed', metadata: { error: 'cancelled' } })
      const scratch = join(other.home, 'scratch')
      expect(existsSync(scratch) ? readdirSync(scratch) : []).toEqual([])
    } finally {
      await other.close()
    }
  })

  it('is not cancelled any more once it came to its end', async () => {
    const [ended] = (await listOptimizedModels(lab.app, editor, { model_id: alexa.id, query: {} })).body as OptimizedModelReply[]
    await expect(
      cancelOptimization(lab.app, editor, { model_id: alexa.id, optimized_id: ended?.id ?? '' }),
    ).rejects.toMatchObject({ code: 'illegal_transition', status: 409, extras: { facts: { state: ended?.status } } })
  })

  it('ends as failed when its model was deleted', async () => {
    const { other, model, id, goOn, built } = await waiting()
    try {
      await deleteModel(other.app, editor, model.id)
      goOn()
      const done = await other.ended(id)
      expect(done.status).toBe('failed')
      expect(done.metadata.error).toMatch(/^not_found: Model/)
      expect(built).toHaveLength(1)
    } finally {
      await other.close()
    }
  })
})
