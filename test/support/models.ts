import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import onnxProto from 'onnx-proto'

/** Tiny ONNX models made with the reference protobuf, for tests and benches. Each maker answers the file's bytes. */
const { onnx } = onnxProto

/** ONNX element types: `onnx.TensorProto.DataType`. */
export const elementTypes = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
} as const
export type ElementType = keyof typeof elementTypes

type Dimension = number | string
interface NodeSpec {
  op: string
  inputs: string[]
  outputs: string[]
  attributes?: object[]
}

const value = (name: string, type: ElementType, shape: readonly Dimension[]): object => ({
  name,
  type: {
    tensorType: {
      elemType: elementTypes[type],
      shape: { dim: shape.map((d) => (typeof d === 'number' ? { dimValue: d } : { dimParam: d })) },
    },
  },
})

const bytesOf = (data: Float32Array | BigInt64Array | Uint8Array): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
const floats = (name: string, dims: number[], data: Float32Array): object => ({ name, dims, dataType: 1, rawData: bytesOf(data) })
const int64s = (name: string, dims: number[], data: bigint[]): object => ({
  name,
  dims,
  dataType: 7,
  rawData: bytesOf(BigInt64Array.from(data)),
})
const node = ({ op, inputs, outputs, attributes }: NodeSpec): object => ({
  opType: op,
  input: inputs,
  output: outputs,
  attribute: attributes ?? [],
})

interface GraphSpec {
  nodes: object[]
  initializers?: object[]
  inputs: object[]
  outputs: object[]
}
const model = ({ nodes, initializers = [], inputs, outputs }: GraphSpec, opset = 13): Uint8Array =>
  onnx.ModelProto.encode(
    onnx.ModelProto.fromObject({
      irVersion: 8,
      opsetImport: [{ domain: '', version: opset }],
      graph: { name: 'test', node: nodes, initializer: initializers, input: inputs, output: outputs },
    }),
  ).finish()

/** Deterministic weights in ±0.05. */
const weights = (count: number, seed: number): Float32Array => {
  const data = new Float32Array(count)
  let state = seed
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    data[i] = (state / 0x7fffffff - 0.5) * 0.1
  }
  return data
}

/** Dense layers with Relu between: input `x` [batch, widths[0]], output `y` [batch, last]. 784-256-128-10 is 0.9 MB, 1024-1024-680-10 7 MB. */
export const denseModel = (widths: readonly number[]): Uint8Array => {
  const nodes: object[] = []
  const initializers: object[] = []
  let current = 'x'
  for (const [i, rows] of widths.slice(0, -1).entries()) {
    const columns = widths[i + 1]!
    const last = i + 2 === widths.length
    initializers.push(
      floats(`w${i}`, [rows, columns], weights(rows * columns, i + 1)),
      floats(`b${i}`, [columns], weights(columns, i + 99)),
    )
    nodes.push(node({ op: 'Gemm', inputs: [current, `w${i}`, `b${i}`], outputs: [last ? 'y' : `g${i}`] }))
    if (!last) nodes.push(node({ op: 'Relu', inputs: [`g${i}`], outputs: [`r${i}`] }))
    current = `r${i}`
  }
  return model({
    nodes,
    initializers,
    inputs: [value('x', 'FP32', ['batch', widths[0]!])],
    outputs: [value('y', 'FP32', ['batch', widths.at(-1)!])],
  })
}

/** `y = x` of any type and shape. */
export const identityModel = (type: ElementType, shape: readonly Dimension[], { input = 'x' } = {}): Uint8Array =>
  model({
    nodes: [node({ op: 'Identity', inputs: [input], outputs: ['y'] })],
    inputs: [value(input, type, shape)],
    outputs: [value('y', type, shape)],
  })

/** `sum = a + b`, `difference = a - b`, FP32 [batch, 2]. */
export const twoInputModel = (): Uint8Array =>
  model({
    nodes: [
      node({ op: 'Add', inputs: ['a', 'b'], outputs: ['sum'] }),
      node({ op: 'Sub', inputs: ['a', 'b'], outputs: ['difference'] }),
    ],
    inputs: [value('a', 'FP32', ['batch', 2]), value('b', 'FP32', ['batch', 2])],
    outputs: [value('sum', 'FP32', ['batch', 2]), value('difference', 'FP32', ['batch', 2])],
  })

/** Softmax over the first dimension: free, but no batch. */
export const acrossRowsModel = (): Uint8Array =>
  model({
    nodes: [node({ op: 'Softmax', inputs: ['x'], outputs: ['y'], attributes: [{ name: 'axis', type: 2, i: 0 }] })],
    inputs: [value('x', 'FP32', ['steps', 4])],
    outputs: [value('y', 'FP32', ['steps', 4])],
  })

/** Dynamic quantisation: one scale over all rows, so that stacking calls changes their answers. */
export const sharedScaleModel = (): Uint8Array =>
  model({
    nodes: [
      node({ op: 'DynamicQuantizeLinear', inputs: ['x'], outputs: ['q', 's', 'z'] }),
      node({ op: 'DequantizeLinear', inputs: ['q', 's', 'z'], outputs: ['y'] }),
    ],
    inputs: [value('x', 'FP32', ['batch', 8])],
    outputs: [value('y', 'FP32', ['batch', 8])],
  })

/** A loop of `count` (INT64 [1]) turns, or without end when the model is `endless`; output `y` INT64 [1] counts the turns. */
export const loopModel = (endless: boolean): Uint8Array => {
  const body = {
    name: 'body',
    node: [
      node({ op: 'Identity', inputs: ['go'], outputs: ['go_on'] }),
      node({ op: 'Add', inputs: ['carried', 'one'], outputs: ['next'] }),
    ],
    initializer: [int64s('one', [1], [1n])],
    input: [value('turn', 'INT64', []), value('go', 'BOOL', []), value('carried', 'INT64', [1])],
    output: [value('go_on', 'BOOL', []), value('next', 'INT64', [1])],
  }
  const loop = {
    opType: 'Loop',
    input: [endless ? '' : 'turns', 'always', 'zero'],
    output: ['y'],
    attribute: [{ name: 'body', type: 5, g: body }],
  }
  return model({
    nodes: [node({ op: 'Reshape', inputs: ['count', 'scalar'], outputs: ['turns'] }), loop],
    initializers: [
      { name: 'always', dims: [], dataType: 9, rawData: Uint8Array.of(1) },
      int64s('zero', [1], [0n]),
      int64s('scalar', [0], []),
    ],
    inputs: [value('count', 'INT64', [1])],
    outputs: [value('y', 'INT64', [1])],
  })
}

/** Makes a tensor as large as its input asks (`size` INT64 [1], elements of FP32) and answers its sum: memory on demand. */
export const memoryModel = (): Uint8Array =>
  model({
    nodes: [
      node({
        op: 'ConstantOfShape',
        inputs: ['size'],
        outputs: ['huge'],
        attributes: [{ name: 'value', type: 4, t: floats('one', [1], Float32Array.of(1)) }],
      }),
      node({ op: 'ReduceSum', inputs: ['huge'], outputs: ['y'], attributes: [{ name: 'keepdims', type: 2, i: 1 }] }),
    ],
    inputs: [value('size', 'INT64', [1])],
    outputs: [value('y', 'FP32', [1])],
  })

/** Writes a model, making the folder. Answers the path. */
export const writeModel = (path: string, bytes: Uint8Array): string => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
  return path
}
