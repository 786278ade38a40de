import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ModelProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { writeModelFile } from '../../../layers/onnx/codec/write-model.ts'
import { distil, fineTune } from '../../../layers/onnx/distill/distil.ts'
import type { Trained } from '../../../layers/onnx/distill/train-apart.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../../layers/onnx/graph/build.ts'
import { npyBytes, npzBytes } from '../../support/arrays.ts'
import { realModelPaths } from './real-models.ts'

const folder = mkdtempSync(join(tmpdir(), 'distill-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string): string => join(folder, name)

const random = seededRandom(11)
const noise = (count: number, scale = 1): Float32Array => Float32Array.from({ length: count }, () => (random() * 2 - 1) * scale)
const weight = (name: string, ...dims: number[]): TensorProto => {
  const fan_in = dims.length > 2 ? dims.slice(1).reduce((a, b) => a * b) : dims.length === 2 ? dims[0]! : 64
  return makeTensor(
    name,
    dims,
    noise(
      dims.reduce((a, b) => a * b),
      Math.sqrt(3 / fan_in),
    ),
  )
}

const [features, hidden, classes, samples] = [24, 64, 6, 3000]

/** Softmax(Gemm(Relu(Gemm(Relu(Gemm x))))) with random weights. */
const perceptron = (width = hidden): ModelProto =>
  makeModel(
    makeGraph({
      nodes: [
        makeNode('Gemm', ['x', 'w1', 'b1'], ['h1'], { name: 'first' }),
        makeNode('Relu', ['h1'], ['r1']),
        makeNode('Gemm', ['r1', 'w2', 'b2'], ['h2'], { name: 'second' }),
        makeNode('Relu', ['h2'], ['r2']),
        makeNode('Gemm', ['r2', 'w3', 'b3'], ['scores'], { name: 'third' }),
        makeNode('Softmax', ['scores'], ['chances']),
      ],
      inputs: [makeValueInfo('x', 1, ['batch', features])],
      outputs: [makeValueInfo('chances', 1, ['batch', classes])],
      initializers: [
        weight('w1', features, width),
        weight('b1', width),
        weight('w2', width, width),
        weight('b2', width),
        weight('w3', width, classes),
        weight('b3', classes),
      ],
    }),
  )

/** Two clouds per class, so that no straight line tells the classes apart. */
const labels = Array.from({ length: samples }, (_, at) => at % classes)
const centres = noise(2 * classes * features, 1.1)
const x = Float32Array.from({ length: samples * features }, (_, at) => {
  const row = Math.floor(at / features)
  const cloud = labels[row]! * 2 + (Math.floor(row / classes) % 2)
  return centres[cloud * features + (at % features)]! + (random() + random() + random() - 1.5)
})
const inputs = { 'x.npy': npyBytes('<f4', [samples, features], new Uint8Array(x.buffer)) }
const answers = { 'labels.npy': npyBytes('<i4', [samples], new Uint8Array(Int32Array.from(labels).buffer)) }

const labelled = file('labelled.npz')
const plain = file('plain.npz')
const teacher_path = file('teacher.onnx')
let teacher: Trained

beforeAll(async () => {
  writeFileSync(labelled, npzBytes({ ...inputs, ...answers }, 0))
  writeFileSync(plain, npzBytes(inputs, 0))
  writeModelFile(perceptron(), file('untrained.onnx'))
  teacher = await fineTune({
    model_path: file('untrained.onnx'),
    candidate_path: teacher_path,
    data: { arrays_path: labelled },
    steps: 250,
    schedule: { kind: 'cosine', rate: 3e-3 },
    threads: 1,
  })
})

const runs = async (path: string, x: ort.Tensor): Promise<Float32Array> => {
  const session = await ort.InferenceSession.create(path, { logSeverityLevel: 3 })
  const answer = Object.values(await session.run({ [session.inputNames[0]!]: x }))[0]!
  await session.release()
  if (!(answer.data instanceof Float32Array)) throw new Error('no float32')
  return answer.data
}

describe('training on labels', () => {
  it('makes a teacher and tells its curve', () => {
    expect(teacher.loss).toBe('cross_entropy')
    expect(teacher.stopped).toBe('steps')
    expect(teacher.before?.accuracy).toBeLessThan(0.5)
    expect(teacher.after?.accuracy).toBeGreaterThan(0.93)
    expect(teacher.curve.at(-1)?.step).toBe(250)
    expect(teacher.curve.at(-1)!.loss).toBeLessThan(teacher.curve[0]!.loss / 5)
    expect(teacher.learnable_weights).toBe(24 * 64 + 64 + 64 * 64 + 64 + 64 * 6 + 6)
  })
})

describe('distillation without labels', () => {
  it.each(['narrower', 'shallower', 'low_rank'] as const)('a %s student answers as its teacher', async (kind) => {
    const candidate_path = file(`${kind}.onnx`)
    const result = await distil({
      teacher_path,
      candidate_path,
      student: { kind, share: 0.25 },
      data: { arrays_path: plain },
      steps: 200,
      schedule: { kind: 'cosine', rate: 4e-3 },
      seed: 3,
      threads: 1,
    })
    expect(result.loss).toBe('distillation')
    expect(result.before?.agreement).toBeLessThan(0.97)
    expect(result.after?.agreement).toBeGreaterThan(0.97)
    expect(result.size_bytes).toBe(statSync(candidate_path).size)
    expect(result.size_bytes).toBeLessThan(0.5 * teacher.size_bytes)
    const chances = await runs(candidate_path, new ort.Tensor('float32', noise(3 * features), [3, features]))
    expect(chances.length).toBe(3 * classes)
    expect(chances.subarray(0, classes).reduce((a, b) => a + b)).toBeCloseTo(1, 5)
  })

  it('teaches a given student of another shape', async () => {
    writeModelFile(perceptron(16), file('small.onnx'))
    const result = await distil({
      teacher_path,
      candidate_path: file('taught.onnx'),
      student: { kind: 'given', model_path: file('small.onnx') },
      data: { arrays_path: labelled },
      alpha: 0.5,
      steps: 250,
      schedule: { kind: 'cosine', rate: 1e-2 },
      threads: 1,
    })
    expect(result.before?.accuracy).toBeLessThan(0.5)
    expect(result.after?.accuracy).toBeGreaterThan(0.95)
  })
})

describe('fine-tuning', () => {
  it('makes four-bit weights lose far less than rounding does', async () => {
    const result = await fineTune({
      model_path: teacher_path,
      teacher_path,
      candidate_path: file('aware.onnx'),
      data: { arrays_path: plain },
      loss: 'mse',
      quantization_aware: { weight_bits: 4, activations: true },
      schedule: { kind: 'cosine', rate: 2e-3 },
      steps: 200,
      threads: 1,
    })
    // Both are of the quantized form.
    expect(result.before?.teacher_mse).toBeGreaterThan(0.05)
    expect(result.after!.teacher_mse!).toBeLessThan(result.before!.teacher_mse! / 2)
  })

  it('brings back a real network whose matrices keep half their weights, on made-up inputs', async () => {
    const result = await distil({
      teacher_path: realModelPaths().find((path) => path.endsWith('hey_rhasspy_v0.1.onnx'))!,
      candidate_path: file('rhasspy.onnx'),
      student: { kind: 'low_rank', share: 0.5 },
      data: { generated_rows: 1200 },
      steps: 200,
      threads: 1,
    })
    expect(result.loss).toBe('mse')
    expect(result.notes).toEqual(['split /1/Gemm', 'split /4/Gemm'])
    expect(result.after!.teacher_mse!).toBeLessThan(0.65 * result.before!.teacher_mse!)
  })
})

describe('limits', () => {
  const job = (more: Partial<Parameters<typeof distil>[0]>): Promise<Trained> =>
    distil({
      teacher_path,
      candidate_path: file('limited.onnx'),
      student: { kind: 'low_rank', share: 0.3 },
      data: { arrays_path: plain },
      threads: 1,
      ...more,
    })

  it('the time budget ends a run, whose candidate counts', async () => {
    const told: number[] = []
    const result = await job({ steps: 1e7, limits: { budget_ms: 600 }, on_progress: ({ step }) => told.push(step) })
    expect(result.stopped).toBe('budget')
    expect(result.steps).toBeGreaterThan(10)
    expect(told.at(-1)).toBe(result.steps)
    expect(statSync(file('limited.onnx')).size).toBe(result.size_bytes)
  })

  it('a cancelled run ends with its reason', async () => {
    const controller = new AbortController()
    const run = job({ steps: 1e7, signal: controller.signal, on_progress: () => controller.abort(new Error('no longer wanted')) })
    await expect(run).rejects.toThrow('no longer wanted')
  })

  it('too little memory ends a run', async () => {
    await expect(job({ steps: 1e7, limits: { memory_bytes: 60 * 2 ** 20 } })).rejects.toMatchObject({ reason: 'memory' })
  })

  it.each<[string, Partial<Parameters<typeof distil>[0]>, string]>([
    ['no share', { student: { kind: 'narrower', share: 1 } }, 'a share between 0 and 1'],
    ['an output that is not there', { output: 'nothing' }, 'no output "nothing"; it has chances'],
    ['labels that are not there', { data: { arrays_path: plain, labels: 'missing' } }, 'no array of labels missing'],
    ['a loss without its labels', { loss: 'cross_entropy' }, 'train/labels'],
    ['bits beyond eight', { quantization_aware: { weight_bits: 9, activations: false } }, '2–8 bits, got 9'],
  ])('%s is refused', async (_, more, reason) => {
    await expect(job(more)).rejects.toThrow(reason)
  })

  it('an operator without gradient is refused by the name of its node', async () => {
    const jarvis = realModelPaths().find((path) => path.endsWith('hey_jarvis_v0.1.onnx'))!
    const run = job({ teacher_path: jarvis, data: { generated_rows: 8 } })
    await expect(run).rejects.toMatchObject({ code: 'unsupported', detail: 'Node "If_32" (If) has no gradient rule' })
  })

  it('a student that answers in another shape is refused', async () => {
    const odd = makeModel(
      makeGraph({
        nodes: [makeNode('MatMul', ['x', 'w'], ['chances'])],
        inputs: [makeValueInfo('x', 1, ['batch', features])],
        outputs: [makeValueInfo('chances', 1)],
        initializers: [weight('w', features, 3)],
      }),
    )
    writeModelFile(odd, file('odd.onnx'))
    await expect(job({ student: { kind: 'given', model_path: file('odd.onnx') } })).rejects.toThrow(
      'the teacher answers [6], but',
    )
  })
})
