import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession } from 'onnxruntime-node'
import { afterAll, describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../layers/core/domain/json.ts'
import { readModelFile } from '../../../layers/onnx/codec/read-model.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import { inspectOnnx } from '../../../layers/onnx/inspect/inspect-onnx.ts'
import { dynamicInt8 } from '../../../layers/optimizers/dynamic-int8.ts'
import { halfPrecision } from '../../../layers/optimizers/half-precision.ts'
import { int8Weights } from '../../../layers/optimizers/int8-weights.ts'
import { smoothInt8 } from '../../../layers/optimizers/smooth-int8.ts'
import { staticInt8 } from '../../../layers/optimizers/static-int8.ts'
import { npyBytes } from '../../support/arrays.ts'
import { realModel } from '../../support/optimization-lab.ts'
import { operators } from '../onnx/seeded-graphs.ts'

const folder = mkdtempSync(join(tmpdir(), 'options-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const candidate_path = join(folder, 'candidate.onnx')
const alexa = realModel('alexa_v0.1.onnx')
const summary = inspectOnnx(alexa)
const asked = (metadata: JsonObject, has_data = false) => ({
  ...{ metadata, target_size_bytes: null, target_latency_ms: null, has_data },
  int8: 'avx2',
})
const gemms = readModelFile(alexa).graph?.node.filter(({ op_type }) => op_type === 'Gemm') ?? []
const first = gemms[0]?.output[0] ?? ''

/** The first candidate of a row for what was asked, built. */
const built = async (row: typeof dynamicInt8 | typeof halfPrecision, metadata: JsonObject) => {
  const settings = row.suits(summary, asked(metadata))
  if (typeof settings === 'string') throw new Error(settings)
  return row.apply({ model_path: alexa, candidate_path, settings: settings[0] ?? {}, calibration_path: null })
}

describe('options of quantizers', () => {
  it('say which nodes change, by name, pattern and operator', async () => {
    expect((await built(dynamicInt8, { nodes_to_exclude: [first] })).notes[0]).toBe('int8: Gemm 1×')
    expect((await built(dynamicInt8, { nodes_to_quantize: [first] })).notes[0]).toBe('int8: Gemm 1×')
    expect((await built(dynamicInt8, { nodes_to_quantize: ['/./'] })).notes[0]).toBe('int8: Gemm 2×')
    expect(dynamicInt8.suits(summary, asked({ op_types_to_quantize: ['Conv'] }))).toMatch(
      /names Conv, which the model has none of/,
    )
    expect(staticInt8.suits(summary, asked({ op_types_to_quantize: ['Relu'] }))).toMatch(
      /^Takes Conv, MatMul, Gemm, asked for Relu/,
    )
  })

  it('are refused when no node bears a name, naming the nearest', async () => {
    await expect(built(dynamicInt8, { nodes_to_exclude: [`${first}x`] })).rejects.toThrow(
      new RegExp(`metadata.nodes_to_exclude: no node bears the name "${first}x"; the nearest are .*"${first}"`),
    )
    await expect(built(dynamicInt8, { nodes_to_quantize: ['/^nothing$/'] })).rejects.toThrow('no node matches "/^nothing$/"')
    expect(dynamicInt8.suits(summary, asked({ nodes_to_exclude: ['/(/'] }))).toContain(
      'the pattern /(/, which is no regular expression',
    )
    const many = Array.from({ length: 250 }, (_, at) => `/encoder/layer.${at}/attention/self/query/MatMul`)
    expect(dynamicInt8.suits(summary, asked({ nodes_to_exclude: many }))).toContain('wanted at most 2000')
    expect(dynamicInt8.suits(summary, asked({ weight_type: 'int3' }))).toContain('metadata.weight_type is not usable')
    expect(int8Weights.suits(summary, asked({ nodes_to_quantize: 'all' }))).toContain('metadata.nodes_to_quantize is not usable')
  })

  it('take the names of the runtime’s own tool for types and methods', () => {
    expect(dynamicInt8.suits(summary, asked({ weight_type: 'QUInt8', per_channel: false }))).toEqual([
      { weight_type: 'u8', conv: 'none', gather: true, rest_as_halves: true, per_channel: false },
    ])
    expect(dynamicInt8.suits(summary, asked({ reduce_range: true }))).toMatchObject([{ weight_type: 's7' }])
    const given = { calibration_method: 'MinMax', activation_type: 'QInt8', weight_type: 'QInt8' }
    expect(staticInt8.suits(summary, asked(given, true))).toMatchObject([
      { operators: 'all', calibration_method: 'min_max', activation_type: 's8', weight_type: 's8' },
      { operators: 'products' },
      { operators: 'all', hold_sqnr_db: 21 },
    ])
  })

  it('one scale for all of a weight loses more than one per channel', async () => {
    const settings = { weight_type: 'u8', conv: 'none', gather: true }
    const scales = async (per_channel: boolean) => {
      await dynamicInt8.apply({
        model_path: alexa,
        candidate_path,
        settings: { ...settings, per_channel },
        calibration_path: null,
      })
      const stored = readModelFile(candidate_path).graph?.initializer.filter(({ name }) => name?.endsWith('_scale')) ?? []
      return stored.map(({ raw_data }) => new Set(new Float32Array(raw_data?.slice().buffer ?? new ArrayBuffer(0))).size)
    }
    expect(await scales(false)).toEqual([1, 1])
    for (const count of await scales(true)) expect(count).toBeGreaterThan(100)
  })

  it('of float16 keep operators and nodes as they were, and turn inputs and outputs where asked', async () => {
    await built(halfPrecision, { op_block_list: ['Relu'] })
    const blocked = readModelFile(candidate_path)
    expect(operators(blocked).filter((operator) => operator === 'Cast').length).toBeGreaterThan(2)
    await expect(built(halfPrecision, { node_block_list: ['nobody'] })).rejects.toThrow('metadata.node_block_list: no node bears')
    const { notes } = await built(halfPrecision, { keep_io_types: false })
    expect(notes.at(-1)).toMatch(/float16 now: \S+, \S+/)
    const session = await InferenceSession.create(candidate_path, { logSeverityLevel: 4 })
    const types = [...session.inputMetadata, ...session.outputMetadata].map((port) => port.isTensor && port.type)
    await session.release()
    expect(types).toEqual(['float16', 'float16'])
    expect(operators(readModelFile(candidate_path))).not.toContain('Cast')
  })
})

describe('rows that need data', () => {
  const embedding = realModel('embedding_model.onnx')

  it('say how to supply them', () => {
    expect(staticInt8.suits(inspectOnnx(embedding), asked({}))).toMatch(/supply calibration_data or evaluation_data/)
    expect(int8Weights.suits(inspectOnnx(embedding), asked({}, true))).toMatchObject([
      { ordered: true, hold_sqnr_db: 21 },
      { ordered: true },
    ])
    expect(smoothInt8.suits(inspectOnnx(embedding), asked({}))).toContain('Smoothing needs products behind a normalisation')
  })

  it('static int8 fits ranges to supplied rows and leaves no float between convolutions', async () => {
    const random = seededRandom(3)
    const values = Float32Array.from({ length: 12 * 76 * 32 }, () => 6 * random() - 3)
    const calibration_path = join(folder, 'rows.npy')
    writeFileSync(calibration_path, npyBytes('<f4', [12, 76, 32, 1], new Uint8Array(values.buffer)))
    const settings = { operators: 'all', activation_type: 'u8', weight_type: 'u8', calibration_method: 'min_max' }
    const { notes } = await staticInt8.apply({ model_path: embedding, candidate_path, settings, calibration_path })
    expect(notes[0]).toMatch(/^static int8: Conv 20×/)
    expect(notes.join('; ')).toContain('ranges by min_max, weights u8')
    expect(notes.at(-1)).toMatch(/^fitted on the 12 supplied rows/)
    await expect(staticInt8.apply({ model_path: embedding, candidate_path, settings, calibration_path: null })).rejects.toThrow(
      'needs rows of the real kind',
    )
  })
})
