import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import { readModel } from '../../../layers/onnx/codec/read-model.ts'
import type { ModelProto, NodeProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import type { Feeds } from '../../../layers/onnx/evaluate/tensors.ts'
import { makeGraph, makeModel, makeTensor, makeValueInfo } from '../../../layers/onnx/graph/build.ts'
import { walkNodes } from '../../../layers/onnx/graph/walk.ts'
import { referenceFor, sqnrAgainst } from '../../../layers/onnx/quantize/measure.ts'

/** Small graphs with weights and inputs that are the same every time. */
export const seededGraphs = (seed: number) => {
  const random = seededRandom(seed)
  /** Near to normal, variance 1: the sum of twelve uniform numbers. */
  const normal = () => Array.from({ length: 12 }, random).reduce((sum, value) => sum + value, -6)
  const normals = (count: number, size = 1) => Float32Array.from({ length: count }, () => normal() * size)
  const volume = (dims: readonly number[]) => dims.reduce((product, dim) => product * dim, 1)
  return {
    random,
    normals,
    weight: (name: string, dims: number[], size = 0.3): TensorProto => makeTensor(name, dims, normals(volume(dims), size)),
    sample: (dims: number[], size = 1, name = 'x'): Feeds => ({ [name]: floatValue(normals(volume(dims), size), dims) }),
  }
}

export const floatValue = (values: Float32Array, dims: number[]) => ({
  type: 'float32',
  dims,
  bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
})

export const model = (
  nodes: NodeProto[],
  initializers: TensorProto[],
  shape: (number | string)[],
  options: { opset?: number; ir_version?: number; type?: number } = {},
): ModelProto =>
  makeModel(
    makeGraph({
      nodes,
      inputs: [makeValueInfo('x', options.type ?? DataType.FLOAT, shape)],
      outputs: [makeValueInfo('y', DataType.FLOAT)],
      initializers,
    }),
    { opsets: { '': options.opset ?? 17 }, ir_version: options.ir_version ?? 8 },
  )

export const copyOf = (source: ModelProto): ModelProto => readModel(encodeModel(source))
export const operators = (source: ModelProto): (string | undefined)[] => [...walkNodes(source)].map((node) => node.op_type)

/** SQNR in dB of a changed copy against the original, on these samples. */
export const sqnrOf = async (original: ModelProto, changed: ModelProto, samples: readonly Feeds[]): Promise<number> =>
  sqnrAgainst(await referenceFor(copyOf(original), samples), changed)
