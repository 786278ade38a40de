import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { intsAttr, makeGraph, makeModel, makeNode, makeValueInfo } from '../graph/build.ts'
import { newWeights } from './new-weights.ts'

export interface ResidualShape {
  /** Of one picture: channels, height, width. */
  input: readonly [number, number, number]
  /** Channels of every stage; from the second stage on, the first block halves height and width. */
  widths: readonly number[]
  /** Residual blocks per stage. */
  blocks: number
  /** Of the first convolution. */
  stride?: 1 | 2
  classes: number
  seed?: number
}

interface Draft {
  nodes: NodeProto[]
  initializers: TensorProto[]
  weights: ReturnType<typeof newWeights>
}

interface Kernel {
  read: number
  made: number
  size: 1 | 3
  stride: number
}

/** Conv and BatchNormalization; the convolution has no bias, which the normalisation would take away again. */
const convolved = (draft: Draft, name: string, value: string, { read, made, size, stride }: Kernel): string => {
  const { nodes, initializers, weights } = draft
  initializers.push(weights.drawn(`${name}.kernel`, [made, read, size, size], read * size ** 2))
  initializers.push(weights.filled(`${name}.scale`, made, 1), weights.filled(`${name}.bias`, made, 0))
  initializers.push(weights.filled(`${name}.mean`, made, 0), weights.filled(`${name}.variance`, made, 1))
  const pad = (size - 1) / 2
  nodes.push(
    makeNode('Conv', [value, `${name}.kernel`], [`${name}.conv`], {
      attributes: [
        intsAttr('kernel_shape', [size, size]),
        intsAttr('strides', [stride, stride]),
        intsAttr('pads', [pad, pad, pad, pad]),
      ],
    }),
    makeNode(
      'BatchNormalization',
      [`${name}.conv`, ...['scale', 'bias', 'mean', 'variance'].map((part) => `${name}.${part}`)],
      [name],
    ),
  )
  return name
}

const relu = ({ nodes }: Draft, value: string): string => {
  nodes.push(makeNode('Relu', [value], [`${value}.relu`]))
  return `${value}.relu`
}

/** Relu(x + BN(Conv(Relu(BN(Conv x))))), with a 1×1 convolution beside it where the shape changes. */
const block = (draft: Draft, name: string, value: string, shape: Omit<Kernel, 'size'>): string => {
  const { read, made, stride } = shape
  const first = relu(draft, convolved(draft, `${name}.first`, value, { ...shape, size: 3 }))
  const second = convolved(draft, `${name}.second`, first, { read: made, made, size: 3, stride: 1 })
  const beside = read === made && stride === 1 ? value : convolved(draft, `${name}.beside`, value, { ...shape, size: 1 })
  draft.nodes.push(makeNode('Add', [second, beside], [name]))
  return relu(draft, name)
}

/**
 * An untrained residual network with batch normalisation: input `x` [batch, channels, height, width] float32, output `scores`
 * [batch, classes], not normalised. Train it with `batch_norm: 'batch'`.
 * Source: He et al., Deep Residual Learning for Image Recognition, arXiv 1512.03385.
 */
export const newResidualNetwork = ({ input, widths, blocks, stride = 1, classes, seed = 1 }: ResidualShape): ModelProto => {
  const draft: Draft = { nodes: [], initializers: [], weights: newWeights(seed) }
  const first = widths[0]!
  let value = relu(draft, convolved(draft, 'stem', 'x', { read: input[0], made: first, size: 3, stride }))
  let read = first
  for (const [stage, made] of widths.entries())
    for (let at = 0; at < blocks; at++) {
      value = block(draft, `stage_${stage + 1}.block_${at + 1}`, value, { read, made, stride: stage > 0 && at === 0 ? 2 : 1 })
      read = made
    }
  draft.nodes.push(makeNode('GlobalAveragePool', [value], ['pooled']), makeNode('Flatten', ['pooled'], ['features']))
  draft.initializers.push(
    draft.weights.drawn('head.weight', [read, classes], read),
    draft.weights.filled('head.bias', classes, 0),
  )
  draft.nodes.push(makeNode('Gemm', ['features', 'head.weight', 'head.bias'], ['scores']))
  return makeModel(
    makeGraph({
      name: 'residual_network',
      nodes: draft.nodes,
      inputs: [makeValueInfo('x', DataType.FLOAT, ['batch', ...input])],
      outputs: [makeValueInfo('scores', DataType.FLOAT, ['batch', classes])],
      initializers: draft.initializers,
    }),
  )
}
