import { InferenceSession } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { readModelFile } from '../../../layers/onnx/codec/read-model.ts'
import type { ModelProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import type { Feeds } from '../../../layers/onnx/evaluate/tensors.ts'
import { intsAttr, makeNode } from '../../../layers/onnx/graph/build.ts'
import { shortenNames } from '../../../layers/onnx/graph/shorten-names.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { compact } from '../../../layers/onnx/quantize/compact.ts'
import { quantizeDynamic } from '../../../layers/onnx/quantize/dynamic-int8.ts'
import type { FinerBits } from '../../../layers/onnx/quantize/remainders.ts'
import { quantizeWeightsOnly } from '../../../layers/onnx/quantize/weight-only.ts'
import { fileName, realModelPaths, runModel } from './real-models.ts'
import { copyOf, model, seededGraphs, sqnrOf } from './seeded-graphs.ts'

const { weight, sample } = seededGraphs(71)
const samples: Feeds[] = Array.from({ length: 4 }, () => sample([1, 5, 9, 9]))

/** Numbers of weights that fill no whole byte with two or four of them. */
const original = (opset: number): ModelProto =>
  model(
    [
      makeNode('Conv', ['x', 'a'], ['p'], { attributes: [intsAttr('pads', [1, 1, 1, 1])] }),
      makeNode('Relu', ['p'], ['r']),
      makeNode('Conv', ['r', 'b'], ['y']),
    ],
    [weight('a', [27, 5, 3, 3]), weight('b', [11, 27, 2, 2])],
    [1, 5, 9, 9],
    { opset },
  )

const stored = (source: ModelProto, bits?: FinerBits): ModelProto => {
  const made = copyOf(source)
  const finer = new Map(bits ? (['p', 'y'] as const).map((output) => [output, bits]) : [])
  quantizeWeightsOnly(made, { widen: 'load', min_elements: 1, finer })
  return made
}

describe('weights of ten and twelve bits', () => {
  it.each([11, 17])('are 12 and 24 dB nearer than eight, operator set %i', async (opset) => {
    const source = original(opset)
    const plain = await sqnrOf(source, stored(source), samples)
    expect(await sqnrOf(source, stored(source, 10), samples)).toBeGreaterThan(plain + 10.5)
    expect(await sqnrOf(source, stored(source, 12), samples)).toBeGreaterThan(plain + 22)
  })

  it('take a quarter and a half of a byte more', () => {
    const source = original(17)
    const bytes = (made: ModelProto): number =>
      mainGraph(made).initializer.reduce(
        (sum, { data_type, raw_data }) => sum + (data_type === 1 ? 0 : (raw_data?.length ?? 0)),
        0,
      )
    const [eight, ten, twelve] = [stored(source), stored(source, 10), stored(source, 12)].map(bytes)
    const elements = 27 * 45 + 11 * 108
    expect(eight).toBe(elements)
    // Besides, where pieces end and which shapes they have: 8 bytes a number.
    expect(ten! - elements).toBeLessThan(elements / 4 + 100)
    expect(twelve! - elements).toBeLessThan(elements / 2 + 100)
  })
})

describe('what a small file does without', () => {
  const jarvis = realModelPaths().find((path) => path.endsWith('hey_jarvis_v0.1.onnx')) ?? ''

  it.each(
    realModelPaths().map((path) => [fileName(path), path]),
  )('%s answers the same, bit by bit, under short names', async (name, path) => {
    const source = readModelFile(path)
    const before = encodeModel(source).length
    shortenNames(source)
    const bytes = encodeModel(source)
    expect(bytes.length).toBeLessThan(before)
    expect(await runModel(bytes, name)).toEqual(await runModel(path, name))
  })

  it('renames what branches capture, and keeps what callers know', async () => {
    const source = readModelFile(jarvis)
    const made = copyOf(source)
    shortenNames(made)
    const names = (of: ModelProto) => [...mainGraph(of).input, ...mainGraph(of).output].map(({ name }) => name)
    expect(names(made)).toEqual(names(source))
    const inner = mainGraph(made).node.flatMap(({ output }) => output)
    expect(Math.max(...inner.filter((name) => !names(made).includes(name)).map((name) => name.length))).toBeLessThan(4)
    const session = await InferenceSession.create(encodeModel(made), { logSeverityLevel: 4 })
    await session.release()
  })

  it('keeps tables as floats that halves cannot say', () => {
    const values = { fine: Float32Array.from({ length: 64 }, (_, at) => 1 + at / 100), wild: new Float32Array(64).fill(1e-7) }
    const source = model([makeNode('Add', ['x', 'fine'], ['p']), makeNode('Add', ['p', 'wild'], ['y'])], [], [1, 64])
    for (const [name, floats] of Object.entries(values))
      mainGraph(source).initializer.push({ ...weight(name, [64]), raw_data: new Uint8Array(floats.buffer) })
    compact(source)
    expect(mainGraph(source).initializer.map(({ data_type }) => data_type)).toEqual([10, 1])
  })
})

describe('dynamic int8 of the main graph alone', () => {
  it('leaves what branches carry', () => {
    const path = realModelPaths().find((each) => each.endsWith('hey_jarvis_v0.1.onnx')) ?? ''
    const form = { weight_type: 's8', conv: 'none', gather: true } as const
    expect(quantizeDynamic(readModelFile(path), form).quantized).toEqual({ Gemm: 4 })
    expect(quantizeDynamic(readModelFile(path), { ...form, main_graph_only: true }).quantized).toEqual({ Gemm: 2 })
  })
})
