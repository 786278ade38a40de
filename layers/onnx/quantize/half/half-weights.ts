import { DataType } from '../../codec/data-types.ts'
import type { ModelProto, NodeProto } from '../../codec/schema.ts'
import { elementCount } from '../../codec/tensor-values.ts'
import { intAttr, makeNode } from '../../graph/build.ts'
import { nameSource } from '../../graph/edit.ts'
import { indexGraph } from '../../graph/index-graph.ts'
import { settleIrVersion } from '../../graph/opsets.ts'
import { mainGraph, walkGraphs } from '../../graph/walk.ts'
import { halfTensor } from './to-half.ts'

/** Weights below this stay as they are: a Cast costs more than they take. */
const MIN_ELEMENTS = 1024

/**
 * Weights alone as float16, each behind a Cast that the runtime folds when it loads the model: half the bytes, arithmetic as
 * before. Sub-graphs included. `matrices_only`: not biases and scales, of which small ones would lose all their digits. Answers how many were converted and how many elements were cut off at ±65504.
 */
export function storeHalfWeights(
  model: ModelProto,
  settings: { min_elements?: number; matrices_only?: boolean } = {},
): { tensors: number; clamped: number } {
  const fresh = nameSource(model)
  const made = { tensors: 0, clamped: 0 }
  const least = settings.min_elements ?? MIN_ELEMENTS
  for (const { graph } of walkGraphs(mainGraph(model))) {
    const index = indexGraph(graph, { ir_version: model.ir_version })
    const casts: NodeProto[] = []
    graph.initializer = graph.initializer.map((tensor) => {
      const name = tensor.name ?? ''
      const count = elementCount(tensor.dims)
      const vector = settings.matrices_only === true && count === Math.max(1, ...tensor.dims)
      const kept = index.inputs.has(name) || index.outputs.has(name) || count < least || vector
      if (kept || tensor.data_type !== DataType.FLOAT) return tensor
      const half = halfTensor(fresh(`${name}_half`), tensor)
      const attributes = [intAttr('to', DataType.FLOAT)]
      casts.push(makeNode('Cast', [half.tensor.name ?? ''], [name], { attributes, name: fresh(`${name}_cast`) }))
      made.tensors++
      made.clamped += half.clamped
      return half.tensor
    })
    graph.node.unshift(...casts)
  }
  settleIrVersion(model)
  return made
}
