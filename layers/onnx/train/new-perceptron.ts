import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { makeGraph, makeModel, makeNode, makeValueInfo } from '../graph/build.ts'
import { newWeights } from './new-weights.ts'

export interface PerceptronShape {
  inputs: number
  /** Neurons of every inner layer. */
  hidden: readonly number[]
  classes: number
  seed?: number
}

/**
 * An untrained multilayer perceptron with Relu: input `x` [batch, inputs] float32, output `scores` [batch, classes], not normalised.
 */
export const newPerceptron = ({ inputs, hidden, classes, seed = 1 }: PerceptronShape): ModelProto => {
  const { drawn, filled } = newWeights(seed)
  const widths = [inputs, ...hidden, classes]
  const nodes: NodeProto[] = []
  const initializers: TensorProto[] = []
  let value = 'x'
  for (let layer = 1; layer < widths.length; layer++) {
    const [read, made] = [widths[layer - 1]!, widths[layer]!]
    const last = layer === widths.length - 1
    const [weight, bias, sum] = [`layer_${layer}.weight`, `layer_${layer}.bias`, last ? 'scores' : `layer_${layer}`]
    initializers.push(drawn(weight, [read, made], read), filled(bias, made, 0))
    nodes.push(makeNode('Gemm', [value, weight, bias], [sum]))
    if (!last) nodes.push(makeNode('Relu', [sum], [`${sum}.relu`]))
    value = `${sum}.relu`
  }
  return makeModel(
    makeGraph({
      name: 'perceptron',
      nodes,
      inputs: [makeValueInfo('x', DataType.FLOAT, ['batch', inputs])],
      outputs: [makeValueInfo('scores', DataType.FLOAT, ['batch', classes])],
      initializers,
    }),
  )
}
