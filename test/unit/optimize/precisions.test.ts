import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Model } from '../../../layers/core/domain/model.ts'
import { blockWeights } from '../../../layers/optimizers/block-weights.ts'
import { type OptimizationLab, optimizationLab, realModel } from '../../support/optimization-lab.ts'

let lab: OptimizationLab
let alexa: Model
beforeEach(async () => {
  lab = await optimizationLab()
  alexa = await lab.addModel(realModel('alexa_v0.1.onnx'))
})
afterEach(() => lab.close())

describe('precisions that are made where they are asked for', () => {
  it('fp16 halves the bytes and keeps the answers, measured', async () => {
    const done = await lab.optimize(alexa, { metadata: { precision: 'fp16', allow_slower: true } })
    expect(done).toMatchObject({ status: 'completed' })
    expect(done.size_reduction_percentage).toBeGreaterThan(45)
    expect(done.attempts.map(({ name }) => name)).toContain('half-precision')
    for (const { fidelity } of done.attempts.filter(({ fidelity }) => fidelity)) expect(fidelity?.sqnr_db).toBeGreaterThan(40)
    expect(done.attempts.find(({ name }) => name === 'dynamic-int8')?.reason).toBe('Makes int8, asked for fp16')
  })

  it('int4 takes a sixth of the bytes, whichever form was kept', async () => {
    const done = await lab.optimize(alexa, {
      metadata: { precision: 'int4', allow_slower: true, accuracy_gate: { sqnr_db: 10 } },
    })
    expect(done).toMatchObject({ status: 'completed' })
    expect(done.size_reduction_percentage).toBeGreaterThan(70)
    expect(
      done.attempts.filter(({ name, candidate }) => name === 'block-weights' && candidate !== undefined).length,
    ).toBeGreaterThan(1)
  })

  it('are not built where nobody asked', async () => {
    const done = await lab.optimize(alexa, { metadata: { allow_slower: true } })
    const names = done.attempts.map(({ name }) => name)
    expect(names).toContain('dynamic-int8')
    expect(names).not.toContain('half-precision')
    expect(names).not.toContain('block-weights')
    // No data were supplied, which is said and not guessed around.
    expect(done.attempts.find(({ name }) => name === 'static-int8')?.reason).toMatch(/supply calibration_data/)
    const asked = { metadata: {}, target_size_bytes: null, target_latency_ms: null }
    expect(blockWeights.suits({ format: 'onnx', operators: { Relu: 1 } }, asked)).toContain('no MatMul')
  })
})
