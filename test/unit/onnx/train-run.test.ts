import { describe, expect, it } from 'vitest'
import { loadModel } from '../../../layers/onnx/codec/read-model.ts'
import type { ModelProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { floatAttr, intsAttr, makeNode, makeTensor } from '../../../layers/onnx/graph/build.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { columnOf, trainingData } from '../../../layers/onnx/train/data.ts'
import { TEACHER } from '../../../layers/onnx/train/losses.ts'
import { openRun, type RunPlan } from '../../../layers/onnx/train/run.ts'
import { scoresOf } from '../../../layers/onnx/train/scores.ts'
import { learnableNames, trainableForm } from '../../../layers/onnx/train/trainable.ts'
import { trainingGraph } from '../../../layers/onnx/train/training-graph.ts'
import { realModelPaths } from './real-models.ts'
import { float32, identity, linear, network, noise, storedIn, tensor, trainedOn } from './training-support.ts'

describe('layers in training', () => {
  it('batch normalisation uses the batch and follows it', async () => {
    const x = noise(4 * 2 * 3, 2)
    const vector = (name: string, ...values: number[]): TensorProto => makeTensor(name, [2], Float32Array.from(values))
    const stored = [vector('s', 1.5, 0.5), vector('b', 0.1, -0.2), vector('m', 0, 1), vector('v', 1, 2)]
    const bn = makeNode('BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['y'], { attributes: [floatAttr('momentum', 0.8)] })
    const plan = { loss: { kind: 'mse' }, optimizer: { kind: 'sgd' }, batch_norm: 'batch' } as const
    const feeds = { x: tensor([4, 2, 3], x), [TEACHER]: tensor([4, 2, 3], new Float32Array(24)) }
    const { model, losses } = await trainedOn(network([bn], [2, 3], stored), plan, feeds, [0])
    const channels = [0, 1].map((channel) => [...x].filter((_, at) => Math.floor(at / 3) % 2 === channel))
    const means = channels.map((values) => values.reduce((a, b) => a + b) / values.length)
    const variances = channels.map(
      (values, at) => values.reduce((sum, value) => sum + (value - means[at]!) ** 2, 0) / values.length,
    )
    // A normalised channel has mean 0 and variance 1: its mean square is scale² + bias².
    expect(losses[0]).toBeCloseTo((1.5 ** 2 + 0.1 ** 2 + 0.5 ** 2 + 0.2 ** 2) / 2, 3)
    expect(storedIn(model, 'm')[1]).toBeCloseTo(0.8 * 1 + 0.2 * means[1]!, 5)
    expect(storedIn(model, 'v')[0]).toBeCloseTo(0.8 * 1 + 0.2 * variances[0]!, 5)
    expect([...storedIn(model, 's')]).toEqual([1.5, 0.5])
  })

  it('fake quantization shows the loss rounded weights, and lets gradients through', async () => {
    const w = Float32Array.of(1, 0.301, -0.5, 0.2)
    const plan = {
      loss: { kind: 'mse' },
      optimizer: { kind: 'sgd', momentum: 0 },
      fake_quantization: { weight_bits: 7, activations: false },
    } as const
    const feeds = { x: tensor([2, 2], identity(2)), [TEACHER]: tensor([2, 2], new Float32Array(4)) }
    const { model, losses } = await trainedOn(linear(w, 2), plan, feeds, [1])
    const scales = [1 / 63, 0.301 / 63]
    const rounded = [...w].map((value, at) => Math.round(value / scales[at % 2]!) * scales[at % 2]!)
    expect(rounded[3]).not.toBeCloseTo(w[3]!, 3)
    expect(losses[0]).toBeCloseTo(rounded.reduce((sum, value) => sum + value ** 2, 0) / 4, 5)
    for (const [at, value] of storedIn(model, 'w').entries()) expect(value).toBeCloseTo(w[at]! - rounded[at]! / 2, 5)
  })

  it('a value cut off by its quantization range gets no gradient', async () => {
    const scale = makeTensor('scale', [], Float32Array.of(0.01))
    const zero = makeTensor('zero', [], Int8Array.of(0))
    const nodes = [
      makeNode('MatMul', ['x', 'w'], ['h']),
      makeNode('QuantizeLinear', ['h', 'scale', 'zero'], ['q']),
      makeNode('DequantizeLinear', ['q', 'scale', 'zero'], ['y']),
    ]
    const model = network(nodes, [2], [makeTensor('w', [2, 2], Float32Array.of(0.5, 9, -9, -1)), scale, zero])
    const feeds = { x: tensor([2, 2], identity(2)), [TEACHER]: tensor([2, 2], new Float32Array(4)) }
    const { model: moved } = await trainedOn(
      model,
      { loss: { kind: 'mse' }, optimizer: { kind: 'sgd', momentum: 0 } },
      feeds,
      [1],
    )
    const got = [...storedIn(moved, 'w')]
    for (const [at, value] of [0.25, 9, -9, -0.5].entries()) expect(got[at]).toBeCloseTo(value, 5)
  })
})

describe('a run', () => {
  const plan: RunPlan = {
    loss: { kind: 'mse' },
    output: 'y',
    optimizer: { kind: 'adam' },
    schedule: { kind: 'constant', rate: 0.02 },
    steps: 150,
    batch: 32,
    seed: 5,
    held_out_share: 0.2,
    threads: 1,
  }
  const samples = 300
  const x = noise(samples * 64)
  /** The sum over the upper left quarter. */
  const wanted = Float32Array.from({ length: samples }, (_, row) =>
    x.subarray(row * 64, row * 64 + 32).reduce((sum, value, at) => (at % 8 < 4 ? sum + value / 2 : sum), 0),
  )
  const variance = wanted.reduce((sum, value) => sum + value ** 2, 0) / samples
  const data = () =>
    trainingData({ x: columnOf('x', float32([samples, 1, 8, 8], x)), [TEACHER]: columnOf('t', float32([samples, 1], wanted)) })
  const small = (): ModelProto =>
    network(
      [
        makeNode('Conv', ['x', 'k', 'kb'], ['c'], { attributes: [intsAttr('pads', [1, 1, 1, 1])] }),
        makeNode('Relu', ['c'], ['r']),
        makeNode('MaxPool', ['r'], ['p'], { attributes: [intsAttr('kernel_shape', [2, 2]), intsAttr('strides', [2, 2])] }),
        makeNode('Flatten', ['p'], ['f']),
        makeNode('Gemm', ['f', 'w', 'b'], ['y']),
      ],
      [1, 8, 8],
      [
        makeTensor('k', [8, 1, 3, 3], noise(72, 0.4)),
        makeTensor('kb', [8], noise(8, 0.1)),
        makeTensor('w', [128, 1], noise(128, 0.1)),
        makeTensor('b', [1], noise(1, 0.1)),
      ],
    )

  it('learns a function it has not seen all of, the same way twice', async () => {
    const source = small()
    const results = await Promise.all(
      [1, 2].map(async () => {
        const run = await openRun(source, data(), plan)
        const { curve } = await run.advance(plan.steps, 20_000)
        const { held_out, model } = await run.result()
        await run.release()
        return { curve, held_out, bytes: Buffer.from(encodeModel(model)) }
      }),
    )
    const [first, second] = results
    expect(first?.curve.at(-1)?.step).toBe(150)
    expect(first!.curve.at(-1)!.loss).toBeLessThan(first!.curve[0]!.loss / 4)
    expect(first?.held_out?.samples).toBe(60)
    expect(first!.held_out!.teacher_mse!).toBeLessThan(variance / 4)
    expect(first?.bytes.equals(second!.bytes)).toBe(true)
  })

  it('says when the rate makes the loss no number', async () => {
    const run = await openRun(small(), data(), {
      ...plan,
      optimizer: { kind: 'sgd' },
      schedule: { kind: 'constant', rate: 1e20 },
    })
    await expect(run.advance(50, 20_000)).rejects.toThrow(/The loss became \S+ at step \d+/)
    await run.release()
  })
})

describe('real models', () => {
  it('have gradients throughout, and weights only where there are some', async () => {
    const path = realModelPaths().find((each) => each.endsWith('embedding_model.onnx'))!
    const model = loadModel(path)
    const { name } = scoresOf(model)
    const plan = { loss: { kind: 'mse' }, optimizer: { kind: 'adam' }, output: name } as const
    const training = await trainingGraph(model, plan, {
      [mainGraph(model).input[0]!.name!]: float32([2, 76, 32, 1], noise(2 * 76 * 32)),
    })
    const kernels = mainGraph(trainableForm(model)).node.filter((node) => node.op_type === 'Conv').length
    expect(training.layout.filter(({ dims }) => dims.length === 4).length).toBe(kernels)
    expect(training.layout.every(({ length }) => length > 1)).toBe(true)
    expect(training.layout.length).toBeLessThanOrEqual(learnableNames(mainGraph(trainableForm(model))).length)
  })
})
