import { InferenceSession, Tensor } from 'onnxruntime-node'
import { DataType } from '../codec/data-types.ts'
import { encodeModel } from '../codec/write-model.ts'
import { intAttr, makeGraph, makeModel, makeNode, makeValueInfo } from '../graph/build.ts'

/** One product of matrices, as onnxruntime's blocked kernels do it. */
const productModel = (transposed: 'transA' | 'transB'): Uint8Array =>
  encodeModel(
    makeModel(
      makeGraph({
        nodes: [makeNode('Gemm', ['left', 'right'], ['product'], { attributes: [intAttr(transposed, 1)] })],
        inputs: [makeValueInfo('left', DataType.FLOAT, [null, null]), makeValueInfo('right', DataType.FLOAT, [null, null])],
        outputs: [makeValueInfo('product', DataType.FLOAT, [null, null])],
      }),
    ),
  )

const open = (transposed: 'transA' | 'transB'): Promise<InferenceSession> =>
  InferenceSession.create(productModel(transposed), { executionProviders: ['cpu'], intraOpNumThreads: 1, logSeverityLevel: 4 })

/** Opened at first use and kept: they hold no weights. */
const sessions: { transA?: Promise<InferenceSession>; transB?: Promise<InferenceSession> } = {}

async function product(transposed: 'transA' | 'transB', left: Tensor, right: Tensor): Promise<Float32Array> {
  sessions[transposed] ??= open(transposed)
  const answer = await (await sessions[transposed]).run({ left, right })
  const values = answer.product?.data
  return values instanceof Float32Array ? values : new Float32Array(0)
}

/** Rows of numbers, one after the other. */
export interface Rows {
  values: Float32Array
  width: number
}

/** Rows that one product takes at a time: a float32 sum over more loses digits that the solution needs. */
const CHUNK_ROWS = 2048

/** leftᵀ·right in float64 [left.width, right.width], summed up from float32 products of a few thousand rows each. */
export async function crossProduct(left: Rows, right: Rows): Promise<Float64Array> {
  const sums = new Float64Array(left.width * right.width)
  const rows = left.values.length / left.width
  for (let first = 0; first < rows; first += CHUNK_ROWS) {
    const count = Math.min(CHUNK_ROWS, rows - first)
    const part = ({ values, width }: Rows) =>
      new Tensor('float32', values.subarray(first * width, (first + count) * width), [count, width])
    const values = await product('transA', part(left), part(right))
    for (let at = 0; at < sums.length; at++) sums[at]! += values[at]!
  }
  return sums
}

/** rows·weightsᵀ for weights [outputs, rows.width]: what a linear map answers to each row. */
export async function applyMap({ values, width }: Rows, weights: Float64Array): Promise<Rows> {
  const outputs = weights.length / width
  const right = new Tensor('float32', Float32Array.from(weights), [outputs, width])
  return { values: await product('transB', new Tensor('float32', values, [values.length / width, width]), right), width: outputs }
}
