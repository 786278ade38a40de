import { DataType } from '../codec/data-types.ts'
import type { ModelProto } from '../codec/schema.ts'
import { tensorFloats } from '../codec/tensor-values.ts'
import { intAttribute } from '../graph/attributes.ts'
import { makeTensor } from '../graph/build.ts'
import { constantTensor, indexGraph, isPlain } from '../graph/index-graph.ts'
import { mainGraph } from '../graph/walk.ts'
import { storeTensor } from './cut.ts'

/** Weights with fewer elements are left alone: biases, scales, small first layers. */
const MIN_ELEMENTS = 1024

export interface ZeroedWeight {
  /** First output of the node. */
  node: string
  zeros: number
  elements: number
}

/**
 * Sets the smallest weights of every MatMul, Gemm and Conv to 0: of each tensor this share, or with `pattern` 2:4 two of every four
 * neighbours along the axis that is summed up. onnxruntime's kernels multiply zeros like any other number and files store them, so
 * neither latency nor size changes; only compressed transfer does. Changes `model`.
 * Source: Han et al., Learning both Weights and Connections (2015); Mishra et al., Accelerating Sparse Deep Neural Networks (2021), §3.
 */
export function zeroSmallest(model: ModelProto, options: { sparsity: number } | { pattern: '2:4' }): ZeroedWeight[] {
  const graph = mainGraph(model)
  const index = indexGraph(graph, { ir_version: model.ir_version })
  const done = new Map<string, ZeroedWeight>()
  for (const node of graph.node) {
    if (!['MatMul', 'Gemm', 'Conv'].some((op_type) => isPlain(node, op_type))) continue
    const name = node.input[1] ?? ''
    const weight = constantTensor(index, name)
    if (!weight || weight.data_type !== DataType.FLOAT || done.has(name)) continue
    const values = tensorFloats(weight).slice()
    if (values.length < MIN_ELEMENTS) continue
    const summed_last = isPlain(node, 'Conv') || (isPlain(node, 'Gemm') && intAttribute(node, 'transB', 0) !== 0)
    if ('sparsity' in options) zeroShare(values, options.sparsity)
    else zeroPattern(values, weight.dims, summed_last)
    storeTensor(graph, name, makeTensor(weight.name ?? '', weight.dims, values))
    const zeros = values.reduce((sum, value) => sum + (value === 0 ? 1 : 0), 0)
    done.set(name, { node: node.output[0] ?? '', zeros, elements: values.length })
  }
  return [...done.values()]
}

function zeroShare(values: Float32Array, sparsity: number): void {
  const order = Uint32Array.from(values.keys()).sort((a, b) => Math.abs(values[a]!) - Math.abs(values[b]!))
  for (const at of order.subarray(0, Math.round(values.length * sparsity))) values[at] = 0
}

/** Of four neighbours along the summed axis the two smallest; a rest of fewer than four stays. */
function zeroPattern(values: Float32Array, dims: readonly number[], summed_last: boolean): void {
  // [outputs, C, kh, kw] sums over channels at every place of the kernel; [inputs, outputs] over the first axis.
  const stride = summed_last ? dims.slice(2).reduce((product, dim) => product * dim, 1) : dims.at(-1)!
  const length = summed_last ? dims[1]! : dims.at(-2)!
  for (let run = 0; run < values.length / length; run++) {
    const start = Math.floor(run / stride) * stride * length + (run % stride)
    for (let first = 0; first + 4 <= length; first += 4) {
      const four = [0, 1, 2, 3].map((at) => start + (first + at) * stride)
      for (const at of four.toSorted((a, b) => Math.abs(values[a]!) - Math.abs(values[b]!)).slice(0, 2)) values[at] = 0
    }
  }
}
