import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { OptimizedModelDetail, OptimizedModelReply } from '../../layers/core/domain/optimization.ts'
import { realModel } from '../support/optimization-lab.ts'
import { eventually, type Platform, startPlatform } from '../support/platform.ts'

let platform: Platform
let model_id: string
beforeAll(async () => {
  platform = await startPlatform()
  model_id = await uploaded('timer_v0.1.onnx')
})
afterAll(async () => {
  await platform?.stop()
  await platform?.remove()
})

const uploaded = async (name: string): Promise<string> => {
  const reply = await platform.upload(name, readFileSync(realModel(name)), { name })
  expect(reply.status).toBe(200)
  return z.object({ model_id: z.string() }).parse(reply.body).model_id
}
const Started = z.strictObject({
  id: z.string().regex(/^opt_/),
  original_model_id: z.string(),
  optimization_method: z.enum(['auto', 'quantization', 'pruning']),
  status: z.literal('optimizing'),
  created_at: z.iso.datetime(),
})

const ended = async (host: Platform, model: string, id: string): Promise<OptimizedModelReply> => {
  for (;;) {
    const { body } = await host.call('GET', `/models/${model}/optimized/${id}`)
    const optimized = OptimizedModelReply.parse(body)
    if (optimized.status !== 'optimizing') return optimized
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

describe('POST /models/{model_id}/optimize', () => {
  it('answers as the reference says, and the list tells what was measured', async () => {
    // The request of the reference, word for word, on a model that can meet it.
    const body = { method: 'quantization', target_size: '10MB', target_latency: 10.0, metadata: { precision: 'int8' } }
    const reply = await platform.call('POST', `/models/${model_id}/optimize`, body)
    expect(reply.status).toBe(200)
    const started = Started.parse(reply.body)
    expect(started.original_model_id).toBe(model_id)
    const done = await ended(platform, model_id, started.id)
    expect(done).toMatchObject({
      status: 'completed',
      target_met: true,
      metadata: { precision: 'int8' },
      accuracy_source: 'top1_agreement',
    })
    const list = await platform.call('GET', `/models/${model_id}/optimized`)
    const [listed] = z.array(OptimizedModelReply).parse(list.body)
    expect(listed).toEqual(done)
    // Names and types of the reference's list entry.
    expect(listed).toMatchObject({
      id: started.id,
      original_model_id: model_id,
      optimization_method: 'quantization',
      storage_path: expect.any(String),
      size_reduction_percentage: expect.any(Number),
      latency_reduction_percentage: expect.any(Number),
      accuracy_change_percentage: expect.any(Number),
      created_at: expect.any(String),
      updated_at: expect.any(String),
    })
    expect(listed).not.toHaveProperty('organization_id')
    expect(listed?.size_reduction_percentage).toBeGreaterThan(70)
    expect(listed?.accuracy_change_percentage).toBeGreaterThanOrEqual(-1)
  })

  it('prunes to the sparsity asked for', async () => {
    const weather = await uploaded('weather_v0.1.onnx')
    const reply = await platform.call('POST', `/models/${weather}/optimize`, { method: 'pruning', metadata: { sparsity: 0.5 } })
    expect(reply.status).toBe(200)
    const done = await ended(platform, weather, Started.parse(reply.body).id)
    expect(done).toMatchObject({ status: 'completed', optimization_method: 'pruning', metadata: { sparsity: 0.5 } })
    expect(done.size_reduction_percentage).toBeGreaterThan(45)
    expect(done.latency_reduction_percentage).toBeGreaterThan(0)
  })

  it('takes the developer guide’s shortest request', async () => {
    const reply = await platform.call('POST', `/models/${model_id}/optimize`, { method: 'quantization', target_latency: 10.0 })
    const { id } = Started.parse(reply.body)
    expect((await ended(platform, model_id, id)).target_latency_ms).toBe(10)
  })

  it.each([
    [{ method: 'custom' }, 422, 'unavailable_here'],
    [{ method: 'auto', target: 'lambda-riscv' }, 422, 'invalid_request'],
    [{ method: 'auto', time_budget_s: 0 }, 422, 'invalid_request'],
    [{ method: 'auto', accuracy_gate: 2 }, 422, 'invalid_request'],
    [{ method: 'auto', accuracy_gate: { sqnr: 20 } }, 422, 'invalid_request'],
    [{ method: 'auto', task: { metric: 'beauty' } }, 422, 'invalid_request'],
    [{ method: 'auto', evaluation_data: {} }, 422, 'invalid_request'],
    [{ method: 'auto', evaluation_data: { dataset_id: 'dts_none' } }, 404, 'not_found'],
    [{ method: 'auto', calibration_data: 'data:;base64,AAAA' }, 422, 'invalid_request'],
    [{ method: 'magic' }, 422, 'invalid_request'],
    [{ method: 'quantization', target_size: 'ten' }, 422, 'invalid_request'],
    [{ method: 'quantization', target_latency: -1 }, 422, 'invalid_request'],
    [{ method: 'quantization', metadata: { accuracy_gate: 'all' } }, 422, 'invalid_request'],
    [{ method: 'pruning', metadata: { sparsity: 1.5 } }, 422, 'invalid_request'],
    [{ method: 'quantization', metadata: { precision: 'int2' } }, 422, 'unavailable_here'],
    [{ method: 'quantization', target_size: '99999999999999999999GB' }, 422, 'invalid_request'],
    [{ method: 'quantization', target_size: '0MB' }, 422, 'invalid_request'],
    [{ method: 'quantization', metadata: { per_channel: 'maybe' } }, 422, 'invalid_request'],
    [{ method: 'pruning', metadata: { structure: 'weird' } }, 422, 'invalid_request'],
    [{ method: 'distillation', metadata: { student: 'nope' } }, 422, 'invalid_request'],
    [{ method: 'auto', metadata: { per_chanel: true } }, 422, 'invalid_request'],
    [{ method: 'auto', metadata: { nodes_to_exlude: [] } }, 422, 'invalid_request'],
    [{}, 422, 'invalid_request'],
  ])('refuses %o with %i %s', async (body, status, code) => {
    const reply = await platform.call('POST', `/models/${model_id}/optimize`, body)
    expect(reply).toMatchObject({ status, body: { code, status } })
  })

  it('answers 404 for unknown models and optimisations, 409 for an inactive model', async () => {
    for (const path of ['/models/mod_none/optimized', `/models/${model_id}/optimized/opt_none`])
      expect(await platform.call('GET', path)).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect((await platform.call('POST', '/models/mod_none/optimize', { method: 'quantization' })).status).toBe(404)
    const inactive = await uploaded('alexa_v0.1.onnx')
    await platform.call('PATCH', `/models/${inactive}`, { status: 'inactive' })
    const reply = await platform.call('POST', `/models/${inactive}/optimize`, { method: 'quantization' })
    expect(reply).toMatchObject({ status: 409, body: { code: 'conflict' } })
  })
})

describe('a search over all methods', () => {
  it('tells how far it is, what is best so far, and ends when it is cancelled', async () => {
    const asked = { method: 'auto', target_latency: 0.000_001, target: 'lambda-arm64', accuracy_gate: 0.9, time_budget_s: 60 }
    const reply = await platform.call('POST', `/models/${model_id}/optimize`, asked)
    const { id } = Started.parse(reply.body)
    const path = `/models/${model_id}/optimized/${id}`
    const running = await eventually(
      () => platform.call('GET', path),
      ({ body }) => OptimizedModelDetail.parse(body).progress.tried > 0,
      60_000,
    )
    const { progress, pareto, attempts, plan, target } = OptimizedModelDetail.parse(running.body)
    expect(progress).toMatchObject({ budget_s: 60, doing: expect.stringMatching(/^(building|measuring|ending)/) })
    expect(progress.planned).toBeGreaterThanOrEqual(plan.length)
    expect(progress.spent_s).toBeGreaterThan(0)
    expect(pareto.every((place) => attempts[place]?.candidate)).toBe(true)
    expect(target).toBe('lambda-arm64')
    const measured = attempts.find(({ candidate }) => candidate)
    if (measured) expect(measured.cost_per_1000).toMatchObject({ target: 'lambda-arm64', candidate_usd: expect.any(Number) })
    const cancelled = await platform.call('POST', `${path}/cancel`)
    expect(cancelled).toMatchObject({ status: 200, body: { id, status: 'failed', metadata: { error: 'cancelled' } } })
    expect(await platform.call('POST', `${path}/cancel`)).toMatchObject({ status: 200, body: { status: 'failed' } })
    expect(await platform.call('POST', `/models/${model_id}/optimized/opt_none/cancel`)).toMatchObject({ status: 404 })
    // The place it took is free at once.
    const next = await platform.call('POST', `/models/${model_id}/optimize`, { method: 'quantization', target_size: '10MB' })
    const done = await ended(platform, model_id, Started.parse(next.body).id)
    expect(await platform.call('POST', `/models/${model_id}/optimized/${done.id}/cancel`)).toMatchObject({
      status: 409,
      body: { code: 'illegal_transition', state: done.status },
    })
  }, 120_000)
})

it('a host killed while it measures goes on after its next start', async () => {
  const first = await startPlatform()
  const { home, password } = first
  const upload = await first.upload('cls.onnx', readFileSync(realModel('ch_ppocr_mobile_v2.0_cls_infer.onnx')))
  const { model_id: cls } = z.object({ model_id: z.string() }).parse(upload.body)
  const started = await first.call('POST', `/models/${cls}/optimize`, { method: 'quantization', target_size: '300KB' })
  const { id } = Started.parse(started.body)
  // The first candidate is built, so that something is there to go on from.
  for (;;) {
    const { body } = await first.call('GET', `/models/${cls}/optimized/${id}`)
    if (OptimizedModelReply.parse(body).attempts.length > 0) break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await first.kill()
  const second = await startPlatform({ home, password })
  try {
    expect(await ended(second, cls, id)).toMatchObject({ status: 'completed', target_met: true })
  } finally {
    await second.stop()
    await second.remove()
  }
}, 180_000)
