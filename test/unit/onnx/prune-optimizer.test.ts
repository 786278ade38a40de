import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../layers/core/domain/json.ts'
import { structuredPruning } from '../../../layers/optimizers/structured-pruning.ts'
import { type OptimizationLab, optimizationLab, realModel } from '../../support/optimization-lab.ts'

let lab: OptimizationLab
beforeAll(async () => {
  lab = await optimizationLab()
})
afterAll(() => lab.close())

const suits = (metadata: JsonObject) =>
  structuredPruning.suits(
    { format: 'onnx', operators: { Gemm: 3 } },
    { metadata, target_size_bytes: null, target_latency_ms: null },
  )

describe('method pruning', () => {
  it('publishes a network with half its neurons, smaller, faster and faithful', async () => {
    const model = await lab.addModel(realModel('weather_v0.1.onnx'))
    const done = await lab.optimize(model, { method: 'pruning', metadata: { sparsity: 0.5 } })
    expect(done).toMatchObject({ status: 'completed', optimization_method: 'pruning' })
    expect(done.size_reduction_percentage).toBeGreaterThan(45)
    const [attempt, ...others] = done.attempts
    expect(others).toEqual([])
    expect(attempt).toMatchObject({
      name: 'structured-pruning',
      settings: { sparsity: 0.5, structure: 'structured' },
      verdict: 'published',
    })
    expect(attempt?.fidelity?.sqnr_db).toBeGreaterThan(25)
  }, 30_000)

  it('does not publish zeros in the weights as an improvement', async () => {
    const model = await lab.addModel(realModel('weather_v0.1.onnx'))
    const done = await lab.optimize(model, { method: 'pruning', metadata: { sparsity: 0.25, structure: 'unstructured' } })
    expect(done.status).toBe('failed')
    expect(done.attempts[0]?.reason).toMatch(/Neither smaller nor faster|Inconclusive|Unfaithful/)
  }, 30_000)

  it('says by node why a network cannot be pruned', async () => {
    const model = await lab.addModel(realModel('hey_mycroft_v0.1.onnx'))
    const done = await lab.optimize(model, { method: 'pruning', metadata: { sparsity: 0.5 } })
    expect(done.status).toBe('failed')
    expect(done.attempts[0]).toMatchObject({
      verdict: 'failed',
      reason: expect.stringMatching(/No channel can be removed.*ReduceMean/),
    })
  }, 30_000)

  it('plans the ladder, or what was asked, or says what is not usable', () => {
    expect(suits({})).toEqual([0.25, 0.5, 0.75, 0.9].map((sparsity) => ({ sparsity, structure: 'structured' })))
    expect(suits({ sparsity: 0.3, structure: 'heads' })).toEqual([{ sparsity: 0.3, structure: 'heads' }])
    expect(
      structuredPruning.suits({ format: 'tflite' }, { metadata: {}, target_size_bytes: null, target_latency_ms: null }),
    ).toMatch(/tflite/)
    expect(suits({ structure: '2:4', sparsity: 0.9 })).toEqual([{ sparsity: 0.5, structure: '2:4' }])
    const unusable: JsonObject[] = [{ sparsity: 1 }, { sparsity: 0 }, { sparsity: '50%' }, { structure: 'all' }]
    for (const wrong of unusable) expect(suits(wrong)).toMatch(/metadata\.\w+ is not usable/)
  })
})
