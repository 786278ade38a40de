import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Inspection } from '../../../layers/core/domain/model.ts'
import { compare } from '../../../layers/onnx/evaluate/compare.ts'
import { dynamicInt8, ladder } from '../../../layers/optimizers/dynamic-int8.ts'
import { identityModel, writeModel } from '../../support/models.ts'
import { realModel } from '../../support/optimization-lab.ts'

const folder = mkdtempSync(join(tmpdir(), 'int8-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const candidate_path = join(folder, 'candidate.onnx')
const asked = { metadata: {}, target_size_bytes: null, target_latency_ms: null }
const onnx = (operators: Record<string, number>): Inspection => ({ format: 'onnx', operators })

const built = async (model_path: string, settings: object) => {
  const { notes } = await dynamicInt8.apply({ model_path, candidate_path, settings: { ...settings }, calibration_path: null })
  const { fidelity } = await compare({
    original_path: model_path,
    candidate_path,
    budget_ms: 400,
    threads: 1,
    memory_limit_bytes: 2 ** 32,
    load_limit_ms: 20_000,
    run_limit_ms: 5000,
  })
  return { notes, fidelity, size: statSync(candidate_path).size / statSync(model_path).size }
}

describe('the ladder of dynamic int8', () => {
  const small = { small: true, sqnr_db: 20 }
  const fast = { small: false, sqnr_db: 20 }

  it('takes signed weights where int8 sums do not saturate, else unsigned and 7-bit ones', () => {
    const form = { conv: 'none', gather: true, rest_as_halves: true }
    expect(ladder({ MatMul: 3 }, fast, 'vnni')).toEqual([{ weight_type: 's8', ...form }])
    expect(ladder({ MatMul: 3 }, { ...fast, weight_type: 'u8' }, 'vnni')).toEqual([{ weight_type: 'u8', ...form }])
    expect(ladder({ Gemm: 3 }, fast, 'arm').map(({ weight_type }) => weight_type)).toEqual(['s8'])
    expect(ladder({ Gemm: 3 }, fast, 'avx2').map(({ weight_type }) => weight_type)).toEqual(['u8', 's7'])
    expect(ladder({ Gemm: 3 }, fast, 'unknown')).toEqual(ladder({ Gemm: 3 }, fast, 'avx2'))
  })

  it('fits to supplied rows where it can, and spares what branches carry as a further candidate', () => {
    const fitted = ladder({ Gemm: 3, If: 1 }, { ...fast, can_fit: true }, 'vnni')
    expect(fitted.map(({ fitted: is, main_graph_only }) => [is, main_graph_only])).toEqual([
      [true, undefined],
      [true, true],
    ])
    expect(ladder({ Gemm: 3 }, { ...fast, can_fit: true }, 'vnni')).toHaveLength(1)
  })

  it('tries depthwise convolutions only where size is asked for', () => {
    expect(ladder({ Conv: 3 }, fast, 'vnni').map(({ conv }) => conv)).toEqual(['dense', 'dense'])
    expect(ladder({ Conv: 3 }, small, 'vnni').map(({ conv }) => conv)).toEqual(['dense', 'dense', 'all'])
    expect(ladder({ Conv: 3 }, { small: false, sqnr_db: 30 }, 'vnni')[1]?.hold_sqnr_db).toBe(31)
    expect(ladder({ Relu: 3 }, small, 'vnni')).toEqual([])
  })

  it('says why there is nothing to try', () => {
    expect(dynamicInt8.suits(onnx({ Relu: 1 }), asked)).toContain('no MatMul, Gemm, Gather or Conv')
    expect(dynamicInt8.suits({ format: 'torchscript' }, asked)).toBe('Wanted an ONNX model, got torchscript')
    expect(dynamicInt8.suits(onnx({ Gemm: 1 }), { ...asked, metadata: { precision: 'fp16' } })).toBe('Makes int8, asked for fp16')
  })
})

describe('trained models as int8', () => {
  it.each([
    ['alexa_v0.1.onnx', { weight_type: 's8', conv: 'none', gather: true }, 0.26, 40],
    ['hey_jarvis_v0.1.onnx', { weight_type: 'u8', conv: 'none', gather: true }, 0.26, 30],
    ['timer_v0.1.onnx', { weight_type: 's7', conv: 'none', gather: true }, 0.26, 30],
    ['embedding_model.onnx', { weight_type: 's8', conv: 'dense', gather: true }, 0.3, 25],
    ['silero_vad.onnx', { weight_type: 's8', conv: 'dense', gather: true }, 0.75, 20],
    ['ch_PP-OCRv4_rec_infer.onnx', { weight_type: 'u8', conv: 'none', gather: true }, 0.72, 25],
  ])('%s with %o keeps what it says', async (name, settings, size, sqnr_db) => {
    const made = await built(realModel(name), settings)
    expect(made.size).toBeLessThan(size)
    expect(made.fidelity.sqnr_db).toBeGreaterThan(sqnr_db)
    expect(made.notes[0]).toMatch(/^int8: (Gemm|MatMul|Conv) /)
  })

  it('leaves the nodes as floats whose error the outputs do not bear, and keeps the rest', async () => {
    const path = realModel('melspectrogram.onnx')
    const plain = await built(path, { weight_type: 's8', conv: 'dense', gather: true })
    expect(plain.fidelity.sqnr_db).toBeLessThan(0)
    const held = await built(path, { weight_type: 's8', conv: 'dense', gather: true, hold_sqnr_db: 25 })
    expect(held.fidelity.sqnr_db).toBeGreaterThan(25)
    expect(held.size).toBeLessThan(0.3)
    expect(held.notes).toContain('int8: Conv 2×')
  })

  it('refuses to make the same candidate twice, or one with nothing in it', async () => {
    const path = realModel('embedding_model.onnx')
    await expect(built(path, { weight_type: 's8', conv: 'dense', gather: true, hold_sqnr_db: 5 })).rejects.toThrow(
      'Nothing needs to stay floats',
    )
    await expect(built(path, { weight_type: 's8', conv: 'dense', gather: true, hold_sqnr_db: 190 })).rejects.toThrow(
      'No node could become int8 and keep 190 dB',
    )
    const empty = writeModel(join(folder, 'empty.onnx'), identityModel('FP32', ['n', 4]))
    await expect(built(empty, { weight_type: 's8', conv: 'none', gather: true })).rejects.toThrow(
      'No weight could become int8: the model stores none',
    )
  })
})
