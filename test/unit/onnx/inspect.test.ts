import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { afterAll, describe, expect, it } from 'vitest'
import { loadModel } from '../../../layers/onnx/codec/read-model.ts'
import type { ModelProto, NodeProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel, writeModelFile } from '../../../layers/onnx/codec/write-model.ts'
import {
  graphAttr,
  int64Tensor,
  intAttr,
  intsAttr,
  makeGraph,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
} from '../../../layers/onnx/graph/build.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { estimateFlops } from '../../../layers/onnx/inspect/flops.ts'
import { inferShapes } from '../../../layers/onnx/inspect/infer-shapes.ts'
import { inspectFile } from '../../../layers/onnx/inspect/inspect-file.ts'
import type { FileInspection } from '../../../layers/onnx/inspect/inspection.ts'
import { fileName, realModelPaths } from './real-models.ts'

const scratch = mkdtempSync(join(tmpdir(), 'inspect-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const inspectBytes = (bytes: Uint8Array): Promise<FileInspection> => {
  const path = join(scratch, 'given.onnx')
  writeFileSync(path, bytes)
  return inspectFile(path, { framework: 'onnx', file_name: 'given.onnx' })
}
const inspectModel = (model: ModelProto): Promise<FileInspection> => inspectBytes(encodeModel(model))

const float = (name: string, shape?: (number | string | null)[]) => makeValueInfo(name, 1, shape)
/** y = x · w, x[N,3], w[3,4]. */
const product = (change: (model: ModelProto) => void = () => undefined): ModelProto => {
  const weights = makeTensor('w', [3, 4], new Float32Array(12))
  const model = makeModel(
    makeGraph({
      nodes: [makeNode('MatMul', ['x', 'w'], ['y'])],
      inputs: [float('x', ['N', 3])],
      outputs: [float('y', ['N', 4])],
      initializers: [weights],
    }),
  )
  change(model)
  return model
}

describe('inspecting an ONNX file', () => {
  it('tells what it holds', async () => {
    expect(await inspectModel(product())).toEqual({
      format: 'onnx',
      ir_version: 8,
      producer: 'ai-deploy',
      opsets: { 'ai.onnx': 17 },
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['N', 3] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['N', 4] }],
      parameter_count: 12,
      parameter_bytes: 48,
      operators: { MatMul: 1 },
      flops: 2 * 3 * 4,
      weights: { other: { elements: 12, bytes: 48, channels: 0 } },
      graph_bytes: expect.any(Number),
      external_data: [],
      batchable: true,
      notes: [],
    })
  })

  it('counts weights by who reads them, sub-graphs and constants included, and the rest of the file apart', async () => {
    const found = async (name: string) => {
      const path = realModelPaths().find((each) => fileName(each) === name) ?? ''
      return { size: statSync(path).size, ...(await inspectFile(path, { framework: 'onnx', file_name: name })) }
    }
    const recogniser = await found('ch_PP-OCRv4_rec_infer.onnx')
    expect(recogniser.weights).toMatchObject({
      Conv: { elements: 1_573_440, channels: 5244 },
      DepthwiseConv: { elements: 68_304, bytes: 273_216, channels: 2896 },
      MatMul: { elements: 1_025_400, channels: 8305 },
    })
    // Its LSTM and half of its convolutions are in branches.
    const speech = await found('silero_vad.onnx')
    expect(speech.weights).toMatchObject({
      LSTM: { elements: 262_144 },
      Conv: { elements: 171_136 },
      DepthwiseConv: { elements: 2580 },
    })
    for (const { size, weights, parameter_bytes = 0, graph_bytes = 0 } of [recogniser, speech]) {
      expect(Object.values(weights ?? {}).reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(parameter_bytes)
      expect(graph_bytes + parameter_bytes).toBe(size)
      expect(graph_bytes).toBeLessThan(0.05 * size)
    }
  })

  it.each(realModelPaths())('agrees with the runtime about inputs and outputs of %s', async (path) => {
    const found = await inspectFile(path, { framework: 'onnx', file_name: fileName(path) })
    const session = await ort.InferenceSession.create(path, { graphOptimizationLevel: 'disabled', logSeverityLevel: 3 })
    const protocol: Record<string, string> = { float32: 'FP32', int64: 'INT64' }
    for (const [mine, theirs] of [
      [found.inputs, session.inputMetadata],
      [found.outputs, session.outputMetadata],
    ] as const) {
      expect(mine?.map((spec) => spec.name)).toEqual(theirs.map((meta) => meta.name))
      expect(mine?.map((spec) => spec.datatype)).toEqual(theirs.map((meta) => (meta.isTensor ? protocol[meta.type] : '')))
      expect(mine?.map((spec) => spec.shape)).toEqual(theirs.map((meta) => (meta.isTensor ? [...meta.shape] : [])))
    }
    await session.release()
    expect(Object.values(found.operators ?? {}).reduce((a, b) => a + b, 0)).toBeGreaterThan(5)
    expect(found.parameter_bytes).toBeGreaterThan(100_000)
  })

  it('counts operators in branches and functions', async () => {
    const branch = (op: string) =>
      graphAttr(
        `${op === 'Neg' ? 'then' : 'else'}_branch`,
        makeGraph({ nodes: [makeNode(op, ['x'], [`${op}_y`])], outputs: [float(`${op}_y`)] }),
      )
    const nodes = [makeNode('If', ['flag'], ['y'], { attributes: [branch('Neg'), branch('Abs')] })]
    const found = await inspectModel(
      makeModel(makeGraph({ nodes, inputs: [makeValueInfo('flag', 9, []), float('x', ['N'])], outputs: [float('y', ['N'])] })),
    )
    expect(found.operators).toEqual({ Abs: 1, If: 1, Neg: 1 })
    expect(found.batchable).toBe(false)
  })

  it('says yes to batching only when the first dimension is one and the same', async () => {
    const shapes = async (input: (number | string | null)[], output: (number | string | null)[], op = 'Relu') =>
      (
        await inspectModel(
          makeModel(
            makeGraph({ nodes: [makeNode(op, ['x'], ['y'])], inputs: [float('x', input)], outputs: [float('y', output)] }),
          ),
        )
      ).batchable
    expect(await shapes(['N', 2], ['N', 2])).toBe(true)
    expect(await shapes([null, 2], [null, 2])).toBe(true)
    expect(await shapes(['a', 2], ['b', 2])).toBe(true)
    expect(await shapes([1, 2], ['N', 2])).toBe(false)
    expect(await shapes(['a', 2], ['b', 'a'], 'Transpose')).toBe(false)
  })
})

const rejected: [string, () => Uint8Array, string, RegExp][] = [
  ['nothing', () => new Uint8Array(0), 'empty', /0 bytes/],
  ['text', () => Buffer.from('hello, I am no model at all'), 'not_a_model', /68 65 6c 6c 6f/],
  ['a cut file', () => encodeModel(product()).slice(0, 90), 'truncated', /ends at byte 90/],
  ['no graph', () => encodeModel(product((model) => delete model.graph)), 'not_a_model', /no graph/],
  ['no nodes', () => encodeModel(product((model) => (mainGraph(model).node = []))), 'not_a_model', /no nodes/],
  ['IR 14', () => encodeModel(product((model) => (model.ir_version = 14))), 'unsupported', /IR version 14/],
  [
    'opset 27',
    () => encodeModel(product((model) => (model.opset_import = [{ domain: '', version: 27 }]))),
    'unsupported',
    /opset 27/,
  ],
  [
    'a foreign operator',
    () => encodeModel(product((model) => (mainGraph(model).node[0]!.domain = 'acme.ops'))),
    'unknown_domain',
    /"y" is MatMul of "acme.ops"/,
  ],
  [
    'a negative dimension',
    () => encodeModel(product((model) => (mainGraph(model).initializer[0]!.dims = [-3, 4]))),
    'not_a_model',
    /"w".*negative/,
  ],
  [
    'an 80 GB tensor without data',
    () => encodeModel(product((model) => (mainGraph(model).initializer[0]!.dims = [20_000_000_000]))),
    'not_a_model',
    /80000000000 bytes.*holds 48/,
  ],
  [
    '2^60 elements',
    () => encodeModel(product((model) => (mainGraph(model).initializer[0]!.dims = [2 ** 30, 2 ** 30]))),
    'unsupported',
    /2\^53/,
  ],
  [
    'a cycle',
    () =>
      encodeModel(product((model) => mainGraph(model).node.push(makeNode('Neg', ['b'], ['a']), makeNode('Neg', ['a'], ['b'])))),
    'not_a_model',
    /cycle/,
  ],
  [
    'a value made twice',
    () => encodeModel(product((model) => mainGraph(model).node.push(makeNode('Neg', ['x'], ['y'])))),
    'not_a_model',
    /"y" is produced twice/,
  ],
  [
    'a value nobody makes',
    () => encodeModel(product((model) => mainGraph(model).node.push(makeNode('Neg', ['ghost'], ['z'])))),
    'not_a_model',
    /reads "ghost"/,
  ],
  [
    'an output nobody makes',
    () => encodeModel(product((model) => mainGraph(model).output.push(float('ghost')))),
    'not_a_model',
    /"ghost"/,
  ],
]

const external = (location: string): Uint8Array =>
  encodeModel(
    product((model) =>
      Object.assign(mainGraph(model).initializer[0]!, {
        raw_data: undefined,
        data_location: 1,
        external_data: [{ key: 'location', value: location }],
      }),
    ),
  )

describe('refusing an ONNX file', () => {
  it.each(rejected)('with %s', async (_name, bytes, code, detail) => {
    await expect(inspectBytes(bytes())).rejects.toMatchObject({ name: 'OnnxFault', code, detail: expect.stringMatching(detail) })
  })

  it.each([
    '../secret',
    '/etc/passwd',
    'a/../../b',
    'C:/x',
    'c:\\x',
    '..\\x',
    'a\0b',
    '',
    'file:///etc/passwd',
  ])('with external data at %j as unsafe', async (location) => {
    await expect(inspectBytes(external(location))).rejects.toMatchObject({ code: 'unsafe' })
  })

  it('with external data beside it by naming the files', async () => {
    await expect(inspectBytes(external('weights/part-1.bin'))).rejects.toMatchObject({
      code: 'external_data_missing',
      detail: expect.stringContaining('weights/part-1.bin'),
    })
  })

  it('that was declared as something else', async () => {
    const path = join(scratch, 'declared.pt')
    writeModelFile(product(), path)
    await expect(inspectFile(path, { framework: 'pytorch', file_name: 'declared.pt' })).rejects.toMatchObject({
      code: 'framework_mismatch',
      detail: 'Declared framework "pytorch", but "declared.pt" holds onnx (framework "onnx")',
    })
  })
})

/** Shapes the runtime finds when every value is an output. */
const runtimeShapes = async (path: string, dims: number[]): Promise<Map<string, readonly number[]>> => {
  const model = loadModel(path)
  const graph = mainGraph(model)
  const declared = new Set(graph.output.map((output) => output.name))
  for (const node of graph.node)
    for (const name of node.output) if (name !== '' && !declared.has(name)) graph.output.push({ name, metadata_props: [] })
  const session = await ort.InferenceSession.create(encodeModel(model), {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 3,
  })
  const size = dims.reduce((a, b) => a * b, 1)
  const outputs = await session.run({
    [session.inputNames[0]!]: new ort.Tensor('float32', new Float32Array(size).fill(0.1), dims),
  })
  await session.release()
  return new Map(Object.entries(outputs).map(([name, tensor]) => [name, tensor.dims]))
}

describe('inferring shapes', () => {
  it.each([
    ['ch_PP-OCRv4_det_infer.onnx', [1, 3, 64, 96]],
    ['ch_PP-OCRv4_rec_infer.onnx', [2, 3, 48, 80]],
    ['ch_ppocr_mobile_v2.0_cls_infer.onnx', [3, 3, 48, 192]],
    ['embedding_model.onnx', [2, 76, 32, 1]],
    ['melspectrogram.onnx', [1, 1760]],
    ['alexa_v0.1.onnx', [1, 16, 96]],
    ['hey_mycroft_v0.1.onnx', [1, 16, 96]],
  ])('finds for %s what the runtime finds', async (name, dims) => {
    const path = realModelPaths().find((each) => fileName(each) === name) ?? ''
    const truth = await runtimeShapes(path, dims)
    const found = inferShapes(loadModel(path), (_input, axis) => dims[axis] ?? 1)
    const wrong = [...truth].filter(
      ([value, shape]) => found.has(value) && JSON.stringify(found.get(value)?.shape) !== JSON.stringify(shape),
    )
    expect(wrong).toEqual([])
    expect([...truth.keys()].filter((value) => !found.has(value))).toEqual([])
  })
})

describe('estimating the operations of one run', () => {
  const flopsOf = (nodes: NodeProto[], shape: number[], initializers: ReturnType<typeof makeTensor>[]) =>
    estimateFlops(makeModel(makeGraph({ nodes, inputs: [float('x', shape)], outputs: [float('y')], initializers }))).flops
  const weights = (name: string, dims: number[]) => makeTensor(name, dims, new Float32Array(dims.reduce((a, b) => a * b, 1)))

  it('counts two per multiply-add', () => {
    expect(
      flopsOf([makeNode('Gemm', ['x', 'w'], ['y'], { attributes: [intAttr('transB', 1)] })], [5, 3], [weights('w', [4, 3])]),
    ).toBe(2 * 5 * 3 * 4)
    expect(flopsOf([makeNode('MatMul', ['x', 'w'], ['y'])], [2, 5, 3], [weights('w', [3, 4])])).toBe(2 * 2 * 5 * 3 * 4)
    const conv = makeNode('Conv', ['x', 'w'], ['y'], {
      attributes: [intsAttr('strides', [2, 2]), intsAttr('pads', [1, 1, 1, 1]), intAttr('group', 2)],
    })
    expect(flopsOf([conv], [1, 4, 8, 8], [weights('w', [6, 2, 3, 3])])).toBe(2 * (6 * 4 * 4) * 2 * 9)
    const lstm = makeNode('LSTM', ['x', 'w', 'r'], ['y'], { attributes: [intAttr('hidden_size', 5)] })
    expect(flopsOf([lstm], [7, 2, 3], [weights('w', [1, 20, 3]), weights('r', [1, 20, 5])])).toBe(2 * 7 * 2 * (20 * 3 + 20 * 5))
  })

  it('follows shapes that the graph computes', () => {
    const nodes = [
      makeNode('Shape', ['x'], ['s']),
      makeNode('Gather', ['s', 'zero'], ['n']),
      makeNode('Concat', ['n', 'rest'], ['target'], { attributes: [intAttr('axis', 0)] }),
      makeNode('Reshape', ['x', 'target'], ['flat']),
      makeNode('MatMul', ['flat', 'w'], ['y']),
    ]
    expect(flopsOf(nodes, [4, 2, 6], [int64Tensor('zero', [0]), int64Tensor('rest', [-1]), weights('w', [12, 3])])).toBe(
      2 * 4 * 12 * 3,
    )
  })

  it('is null when data decides the shape', () => {
    expect(
      flopsOf(
        [
          makeNode('NonZero', ['x'], ['z']),
          makeNode('Cast', ['z'], ['f'], { attributes: [intAttr('to', 1)] }),
          makeNode('MatMul', ['f', 'w'], ['y']),
        ],
        [4],
        [weights('w', [1, 3])],
      ),
    ).toBeNull()
  })
})
