import { existsSync, globSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as ort from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../layers/core/domain/json.ts'
import type { Inspection } from '../../../layers/core/domain/model.ts'
import type { Optimizer } from '../../../layers/core/ports/optimizer.ts'
import { writeModelFile } from '../../../layers/onnx/codec/write-model.ts'
import { startGuarded } from '../../../layers/onnx/evaluate/guarded-process.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import { inspectFile } from '../../../layers/onnx/inspect/inspect-file.ts'
import { newPerceptron } from '../../../layers/onnx/train/new-perceptron.ts'
import { trainFromLabels } from '../../../layers/onnx/train/train-from-labels.ts'
import { distillation } from '../../../layers/optimizers/distillation.ts'
import { quantizationAwareTraining } from '../../../layers/optimizers/quantization-aware-training.ts'
import { structuredPruning } from '../../../layers/optimizers/structured-pruning.ts'
import { npyBytes, npzBytes } from '../../support/arrays.ts'
import { realModelPaths } from './real-models.ts'

const folder = mkdtempSync(join(tmpdir(), 'rows-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string): string => join(folder, name)

const [features, classes, samples, judged] = [24, 6, 3000, 600]
const random = seededRandom(5)
const spread = (): number => random() + random() + random() - 1.5

/** Two clouds per class, so that no straight line tells the classes apart. */
const centres = Float32Array.from({ length: 2 * classes * features }, () => (random() * 2 - 1) * 1.1)
const labels = Array.from({ length: samples + judged }, (_, at) => at % classes)
const x = Float32Array.from({ length: labels.length * features }, (_, at) => {
  const row = Math.floor(at / features)
  const cloud = labels[row]! * 2 + (Math.floor(row / classes) % 2)
  return centres[cloud * features + (at % features)]! + spread()
})
const rows = x.subarray(0, samples * features)
const asked = { metadata: {}, target_size_bytes: null, target_latency_ms: null, has_data: true }

let inspection: Inspection
beforeAll(async () => {
  const network = newPerceptron({ inputs: features, hidden: [96, 96], classes })
  const { model } = await trainFromLabels({
    model: network,
    rows,
    row_dims: [features],
    labels: labels.slice(0, samples),
    epochs: 6,
    batch: 64,
    rate: 4e-3,
  })
  writeModelFile(model, file('teacher.onnx'))
  const plain = { 'x.npy': npyBytes('<f4', [samples, features], new Uint8Array(rows.slice().buffer)) }
  const classed = { 'labels.npy': npyBytes('<i4', [samples], new Uint8Array(Int32Array.from(labels.slice(0, samples)).buffer)) }
  writeFileSync(file('plain.npz'), npzBytes(plain, 0))
  writeFileSync(file('labelled.npz'), npzBytes({ ...plain, ...classed }, 0))
  inspection = await inspectFile(file('teacher.onnx'), { framework: 'onnx', file_name: 'teacher.onnx' })
})

const winners = async (path: string): Promise<number[]> => {
  const session = await ort.InferenceSession.create(path, { logSeverityLevel: 3 })
  const feed = new ort.Tensor('float32', x.slice(samples * features), [judged, features])
  const answer = (await session.run({ x: feed })).scores
  await session.release()
  if (!(answer?.data instanceof Float32Array)) throw new Error('no float32')
  const scores = answer.data
  return Array.from({ length: judged }, (_, row) => {
    const own = scores.subarray(row * classes, (row + 1) * classes)
    return own.indexOf(Math.max(...own))
  })
}
const agreement = async (path: string): Promise<number> => {
  const [got, wanted] = [await winners(path), await winners(file('teacher.onnx'))]
  return got.filter((winner, at) => winner === wanted[at]).length / judged
}
const accuracy = async (path: string): Promise<number> => {
  const wanted = labels.slice(samples)
  return (await winners(path)).filter((winner, at) => winner === wanted[at]).length / judged
}

const apply = async (optimizer: Optimizer, settings: JsonObject, data: string | null = 'plain.npz', more = {}) => {
  const candidate_path = file('candidate.onnx')
  rmSync(candidate_path, { force: true })
  const { notes } = await optimizer.apply({
    model_path: file('teacher.onnx'),
    candidate_path,
    settings,
    calibration_path: data === null ? null : file(data),
    evaluation_path: null,
    ...more,
  })
  const size_bytes = statSync(candidate_path).size
  return { notes: notes.join('; '), candidate_path, size_bytes, share: size_bytes / statSync(file('teacher.onnx')).size }
}

/** Epochs end it, not the clock. */
const taught = { temperature: 3, alpha: 0.9, budget_s: 60, epochs: 25 }

describe('the row distillation', () => {
  it.each([
    ['narrower', 0.25, 0.2],
    ['low_rank', 0.25, 0.65],
  ] as const)(
    'makes a %s student that decides as the model does',
    async (kind, share, most) => {
      const settings = { ...taught, student: { kind, share } }
      const made = await apply(distillation, settings)
      expect(made.share).toBeLessThan(most)
      expect(await agreement(made.candidate_path)).toBeGreaterThan(0.96)
      expect(made.notes).toMatch(
        /trained \d+ steps of 128 rows in [\d.]+ s, loss .* → .*, agreement .* held out; taught by the model alone/,
      )
      expect(made.notes).toMatch(/fitted on 2872 supplied rows, judged by 128 others/)
    },
    20_000,
  )

  it('learns from labels too, where there are any', async () => {
    const settings = { ...taught, student: { kind: 'narrower', share: 0.25 } }
    const { notes, candidate_path } = await apply(distillation, settings, 'labelled.npz')
    expect(notes).toMatch(/accuracy .* → .*; taught by the model and 2872 labels/)
    expect(await accuracy(candidate_path)).toBeGreaterThan((await accuracy(file('teacher.onnx'))) - 0.03)
  }, 20_000)

  it('says what it learned from when there are no data', async () => {
    const { notes } = await apply(distillation, { ...taught, epochs: 1, student: { kind: 'low_rank', share: 0.5 } }, null)
    expect(notes).toContain('generated inputs: supply calibration data')
  }, 20_000)

  it('goes on with the student it had derived when its process was killed, and leaves nothing when it is done', async () => {
    const checkpoint_dir = file('kept')
    const settings = { ...taught, epochs: 40, student: { kind: 'narrower', share: 0.5 } }
    const child = startGuarded(new URL('../../../layers/optimizers/build-child.ts', import.meta.url), {
      memory_bytes: 2 ** 31,
      label: 'The build',
    })
    const ended = expect(
      child.ask(
        {
          module: distillation.module,
          optimizer: 'distillation',
          settings,
          model_path: file('teacher.onnx'),
          candidate_path: file('killed.onnx'),
          calibration_path: file('plain.npz'),
          evaluation_path: null,
          checkpoint_dir,
        },
        60_000,
      ),
    ).rejects.toThrow('SIGKILL')
    const derived = (): boolean => globSync(join(checkpoint_dir, '*', 'student.onnx')).length === 1
    while (!derived()) await sleep(5)
    await child.stop()
    await ended
    expect(existsSync(file('killed.onnx'))).toBe(false)
    const { notes } = await apply(distillation, settings, 'plain.npz', { checkpoint_dir })
    expect(notes).toContain('student as derived before')
    expect(readdirSync(checkpoint_dir)).toEqual([])
    expect(readdirSync(folder).filter((name) => name.includes('candidate.onnx.'))).toEqual([])
  }, 40_000)

  it('expects the size that a network of digits came to', () => {
    const weights = { Gemm: { elements: 1_861_632, bytes: 7_446_528, channels: 2058 }, other: { elements: 2058, bytes: 8232 } }
    const inputs = [{ name: 'x', datatype: 'FP32', shape: ['batch', 784] }]
    const outputs = [{ name: 'y', datatype: 'FP32', shape: ['batch', 10] }]
    const digits: Inspection = { format: 'onnx', operators: { Gemm: 3, Relu: 2 }, weights, inputs, outputs, graph_bytes: 552 }
    const expected = (kind: string, share: number): number =>
      distillation.expects?.(digits, { ...taught, student: { kind, share } }).size_bytes ?? 0
    // What was measured on a trained 784-1024-1024-10.
    expect(expected('narrower', 0.25) / 1_087_209).toBeCloseTo(1, 1)
    expect(expected('low_rank', 0.25) / 1_850_721).toBeCloseTo(1, 1)
  })

  it('plans what the operators allow, or says why nothing', () => {
    const plan = distillation.suits(inspection, asked)
    expect(plan).toEqual(
      [0.5, 0.25].flatMap((share) =>
        ['narrower', 'low_rank'].map((kind) => expect.objectContaining({ student: { kind, share }, temperature: 3, alpha: 0.9 })),
      ),
    )
    const chosen = { student: { kind: 'low_rank', share: 0.3 }, temperature: 5, budget_s: 60, learning_rate: 1e-3, epochs: 9 }
    expect(distillation.suits(inspection, { ...asked, metadata: chosen })).toEqual([{ ...chosen, alpha: 0.9 }])
    expect(distillation.suits(inspection, { ...asked, metadata: { student: 'shallower' } })).toHaveLength(2)
    const recurrent = { format: 'onnx', operators: { LSTM: 2, MatMul: 1, Loop: 1 } }
    expect(distillation.suits(recurrent, asked)).toBe('Its LSTM, Loop cannot be differentiated, so it cannot be trained')
    expect(distillation.suits({ format: 'onnx', operators: { Add: 2 } }, asked)).toMatch(/no MatMul, Gemm or Conv/)
    const unusable: JsonObject[] = [
      { alpha: 2 },
      { student: 'tiny' },
      { student: { kind: 'narrower', share: 1 } },
      { budget_s: 0 },
    ]
    for (const wrong of unusable)
      expect(distillation.suits(inspection, { ...asked, metadata: wrong })).toMatch(/^metadata\.\w+(\.\w+)* is not usable/)
  })

  it('refuses a graph with a branch by the name of its node', async () => {
    const model_path = realModelPaths().find((path) => path.endsWith('hey_jarvis_v0.1.onnx'))
    const run = apply(distillation, { ...taught, student: { kind: 'low_rank', share: 0.5 } }, null, { model_path })
    await expect(run).rejects.toThrow('Node "If_32" (If) has no gradient rule')
  }, 20_000)
})

describe('the row quantization-aware-training', () => {
  it.each(['dynamic', 'static'] as const)('makes a %s int8 network that decides as the model does', async (form) => {
    const made = await apply(quantizationAwareTraining, { form, weight_type: 'u8', budget_s: 60 })
    expect(made.notes).toMatch(/rounded while trained: trained \d+ steps .*int8: .*Gemm|MatMul/)
    expect(made.share).toBeLessThan(0.45)
    expect(await agreement(made.candidate_path)).toBeGreaterThan(0.97)
    expect(readdirSync(folder).filter((name) => name.includes('candidate.onnx.'))).toEqual([])
  }, 30_000)

  it('is made where it is asked for, and wants data', () => {
    const plan = (precision: string, has_data = true) =>
      quantizationAwareTraining.suits(inspection, { ...asked, metadata: { precision }, has_data })
    expect(plan('int8')).toBe('Made where metadata.precision is int8_qat')
    expect(plan('int8_qat', false)).toMatch(/supply calibration_data/)
    expect(plan('int8_qat')).toMatchObject([{ form: 'dynamic' }, { form: 'static' }])
  })
})

describe('the row structured-pruning with training', () => {
  it('keeps far more of the answers than fitting alone, in rounds', async () => {
    const fitted = await apply(structuredPruning, { sparsity: 0.9, structure: 'structured' })
    const alone = await agreement(fitted.candidate_path)
    const tuned = await apply(structuredPruning, { sparsity: 0.9, structure: 'structured', fine_tune_s: 60, rounds: 2 })
    expect(tuned.share).toBeLessThan(0.2)
    expect(tuned.notes.match(/trained \d+ steps/g)).toHaveLength(2)
    expect(await agreement(tuned.candidate_path)).toBeGreaterThan(Math.max(0.9, alone))
    expect(readdirSync(folder).filter((name) => name.includes('candidate.onnx.'))).toEqual([])
  }, 30_000)

  it('plans training where real rows are there, and refuses it where nothing could be learned', () => {
    const plan = (metadata: JsonObject, has_data = true) => structuredPruning.suits(inspection, { ...asked, metadata, has_data })
    expect(plan({}, false)).toHaveLength(4)
    const rungs = plan({})
    expect(rungs).toHaveLength(7)
    expect(rungs[6]).toMatchObject({ sparsity: 0.9, rounds: 2, fine_tune_s: 4 })
    expect(plan({ sparsity: 0.8, fine_tune_s: 30, rounds: 3 })).toEqual([
      { sparsity: 0.8, structure: 'structured', fine_tune_s: 30, rounds: 3 },
    ])
    expect(plan({ structure: 'unstructured', rounds: 2 })).toMatch(/would fill the zeros/)
    const recurrent = { format: 'onnx', operators: { LSTM: 1, Gemm: 2 } }
    expect(structuredPruning.suits(recurrent, { ...asked, metadata: { rounds: 2 } })).toMatch(/LSTM cannot be differentiated/)
    expect(structuredPruning.suits(recurrent, asked)).toHaveLength(4)
  })
})
