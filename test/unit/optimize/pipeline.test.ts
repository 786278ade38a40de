import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import type { JsonObject } from '../../../layers/core/domain/json.ts'
import type { Model } from '../../../layers/core/domain/model.ts'
import { countsByStatus } from '../../../layers/core/usecases/count-by-status.ts'
import { deleteModel } from '../../../layers/core/usecases/delete-model.ts'
import { getOptimizedModel } from '../../../layers/core/usecases/get-optimized-model.ts'
import { listOptimizedModels } from '../../../layers/core/usecases/list-optimized-models.ts'
import { optimizeModel } from '../../../layers/core/usecases/optimize-model.ts'
import { repairOptimizations } from '../../../layers/core/usecases/repair-optimizations.ts'
import { resolveModel } from '../../../layers/core/usecases/resolve-model.ts'
import { npyBytes, npzBytes } from '../../support/arrays.ts'
import { bytesFrom } from '../../support/artifacts.ts'
import { bad, copying } from '../../support/extension-optimizers.ts'
import { editor, type OptimizationLab, optimizationLab, realModel, stranger } from '../../support/optimization-lab.ts'

let lab: OptimizationLab
let alexa: Model
let mel: Model
beforeAll(async () => {
  lab = await optimizationLab()
  alexa = await lab.addModel(realModel('alexa_v0.1.onnx'))
  mel = await lab.addModel(realModel('melspectrogram.onnx'))
})
afterAll(() => lab.close())

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
    const bytes = await bytesFrom(await lab.app.artifacts.read(done.storage_path ?? ''))
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(done.sha256)
    expect(bytes.length).toBe(done.size_bytes)
    expect(await lab.app.artifacts.list(`optimizations/org_1/${done.id}/`)).toEqual([done.storage_path])
    expect(done.compute_seconds).toBeGreaterThan(0)
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
    const done = await lab.optimize(alexa, { calibration_data, metadata: { allow_slower: true } })
    expect(done.attempts[0]?.fidelity).toMatchObject({ inputs: 'supplied', rows: 20 })
    const wrong = npyBytes('<f4', [20, 5], new Uint8Array(400))
    const failed = await lab.optimize(alexa, { calibration_data: `data:;base64,${wrong.toString('base64')}` })
    expect(failed).toMatchObject({ status: 'failed' })
    expect(failed.metadata.error).toContain('has shape [20,5]; wanted [samples, 16, 96]')
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
    expect(found).toEqual(first)
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
    changes: { method?: 'custom' | 'quantization'; metadata?: JsonObject; calibration_data?: string } = {},
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
    for (const calibration_data of ['mod_123', 'data:;base64,AAAA'])
      await expect(start(alexa, { calibration_data })).rejects.toMatchObject({ code: 'invalid_request' })
  })
})

describe('optimizers of extensions', () => {
  it('are loaded by their module, judged like any other, and cannot take the platform along', async () => {
    const other = await optimizationLab({
      optimizers: [copying, ...bad],
      limits: { build_ms: 4000, memory_bytes: 400 * 2 ** 20 },
    })
    try {
      const model = await other.addModel(realModel('alexa_v0.1.onnx'))
      const done = await other.optimize(model, { method: 'custom' })
      expect(done.status).toBe('failed')
      const reasons = Object.fromEntries(done.attempts.map(({ name, verdict, reason }) => [name, `${verdict}: ${reason}`]))
      expect(reasons.copying).toMatch(/^rejected: Neither smaller nor faster/)
      expect(reasons.endless).toBe('failed: Optimizer endless did not answer within 4000 ms and was stopped')
      expect(reasons.greedy).toMatch(/^failed: Optimizer greedy was stopped at \d+ bytes of memory/)
      expect(reasons.dying).toBe('failed: Optimizer dying died by itself (exit code 7)')
      expect(reasons.broken).toMatch(/^failed: The candidate could not be run/)
      expect(reasons.reluctant).toBe('rejected: it is Saturday')
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
      workbench: (real) => ({
        build: async (order) => {
          built.push('first')
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
      home: first.home,
      workbench: (real) => ({
        build: async (order) => {
          built.push('second')
          return real.build(order)
        },
        measure: (order) => real.measure(order),
      }),
    })
    try {
      expect(await second.ended(id)).toMatchObject({ status: 'completed' })
      expect(built).toEqual(['first'])
    } finally {
      await second.close()
    }
  })

  it('is ended as failed with the reason when a step cannot be repeated any more', async () => {
    const other = await optimizationLab({
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
    const model = await other.addModel(realModel('embedding_model.onnx'))
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
