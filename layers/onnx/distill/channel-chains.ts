import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { elementCount } from '../codec/tensor-values.ts'
import { intAttribute } from '../graph/attributes.ts'
import { type GraphIndex, indexGraph, isPlain } from '../graph/index-graph.ts'
import { mainGraph } from '../graph/walk.ts'
import { inferShapes } from '../inspect/infer-shapes.ts'

/** Where a stored tensor holds a chain's channels; `block` neighbouring elements of the axis belong to each. */
export interface ChannelSlice {
  name: string
  axis: number
  block: number
}

/** One layer's outputs on their way to the layer that reads them, with nothing else looking. */
export interface ChannelChain {
  /** Of the layer that makes the channels. */
  name: string
  channels: number
  /** Channels are the second axis, as convolutions have them; else the last one. */
  convolved: boolean
  makes: ChannelSlice
  /** Biases, scales and depthwise weights on the way. */
  carries: ChannelSlice[]
  reads: ChannelSlice[]
  depthwise: NodeProto[]
}

interface Walk {
  index: GraphIndex
  shapes: ReturnType<typeof inferShapes>
  /** Weights that one node alone reads: others would be changed too. */
  own(name: string | undefined): TensorProto | undefined
}

const unary: ReadonlySet<string> = new Set(
  'AveragePool Clip Dropout Elu Erf Gelu GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity LeakyRelu MaxPool Relu Selu Sigmoid Softplus Tanh'.split(
    ' ',
  ),
)

/** The weight axis of a layer's outputs and inputs; undefined for what is no dense layer or convolution. */
const layerAxes = (node: NodeProto): { made: number; read: number } | undefined => {
  if (isPlain(node, 'Conv') && intAttribute(node, 'group', 1) === 1) return { made: 0, read: 1 }
  if (isPlain(node, 'MatMul')) return { made: 1, read: 0 }
  if (!isPlain(node, 'Gemm') || intAttribute(node, 'transA', 0) === 1) return undefined
  return intAttribute(node, 'transB', 0) === 1 ? { made: 0, read: 1 } : { made: 1, read: 0 }
}

/** A stored bias or scale with one value per channel, wherever broadcasting aligns it; undefined when it has another shape. */
const perChannel = (tensor: TensorProto | undefined, channels: number): ChannelSlice | undefined => {
  const axis = tensor?.dims.indexOf(channels) ?? -1
  if (!tensor || axis < 0 || elementCount(tensor.dims) !== channels) return undefined
  return { name: tensor.name ?? '', axis, block: 1 }
}

/** Every chain of the main graph whose both ends are plain layers. */
export const channelChains = (model: ModelProto): ChannelChain[] => {
  const graph = mainGraph(model)
  const index = indexGraph(graph, { ir_version: model.ir_version })
  const own = (name: string | undefined): TensorProto | undefined => {
    const tensor = name ? index.initializers.get(name) : undefined
    return tensor?.data_type === DataType.FLOAT && index.uses.get(name ?? '')?.length === 1 ? tensor : undefined
  }
  const walk: Walk = { index, shapes: inferShapes(model), own }
  return graph.node.flatMap((node) => chainFrom(node, walk) ?? [])
}

const chainFrom = (node: NodeProto, walk: Walk): ChannelChain | undefined => {
  const axes = layerAxes(node)
  const weight = walk.own(node.input[1])
  if (!axes || !weight || (isPlain(node, 'MatMul') && weight.dims.length !== 2)) return undefined
  const channels = weight.dims[axes.made]!
  const chain: ChannelChain = {
    name: node.name || node.output[0]!,
    channels,
    convolved: isPlain(node, 'Conv'),
    makes: { name: weight.name ?? '', axis: axes.made, block: 1 },
    carries: [],
    reads: [],
    depthwise: [],
  }
  if (node.input[2] && !carry(chain, walk, node.input[2])) return undefined
  return follow(chain, walk, node.output[0]!, 1) ? chain : undefined
}

const carry = (chain: ChannelChain, walk: Walk, name: string): boolean => {
  const slice = perChannel(walk.own(name), chain.channels)
  if (slice) chain.carries.push(slice)
  return slice !== undefined
}

/** Follows the value to the layer that reads it; false when anything on the way cannot be cut. */
const follow = (chain: ChannelChain, walk: Walk, value: string, block: number): boolean => {
  const uses = walk.index.uses.get(value) ?? []
  const node = uses[0]?.node
  if (!node || uses.length !== 1 || (uses[0]?.input !== 0 && !isPlain(node, 'Add') && !isPlain(node, 'Mul'))) return false
  if (walk.index.outputs.has(value)) return false
  const axes = layerAxes(node)
  if (axes) return readBy(chain, walk, node, axes.read, block)
  const next = node.output[0]!
  if (unary.has(node.op_type ?? '') && isPlain(node, node.op_type ?? '')) return follow(chain, walk, next, block)
  if (isPlain(node, 'Flatten')) {
    const shape = walk.shapes.get(value)?.shape
    const flat = shape && intAttribute(node, 'axis', 1) === 1 && shape[1] === chain.channels
    return flat ? follow(chain, walk, next, block * elementCount(shape.slice(2))) : false
  }
  return block === 1 && carriedBy(chain, walk, node, value) && follow(chain, walk, next, block)
}

const readBy = (chain: ChannelChain, walk: Walk, node: NodeProto, axis: number, block: number): boolean => {
  const weight = walk.own(node.input[1])
  if (!weight || weight.dims[axis] !== chain.channels * block) return false
  chain.reads.push({ name: weight.name ?? '', axis, block })
  return true
}

/** Whether broadcasting lays a stored vector along the channels, not along an axis that happens to be as long. */
const aligned = (chain: ChannelChain, walk: Walk, value: string, name: string): boolean => {
  const rank = walk.shapes.get(value)?.shape?.length
  const dims = walk.index.initializers.get(name)?.dims ?? []
  return rank !== undefined && dims.length - dims.indexOf(chain.channels) === rank - (chain.convolved ? 1 : rank - 1)
}

/** A bias, scale, normalisation or depthwise convolution with stored values per channel. */
const carriedBy = (chain: ChannelChain, walk: Walk, node: NodeProto, value: string): boolean => {
  const others = node.input.filter((name) => name !== value && name !== '')
  if (['Add', 'Mul', 'Sub', 'Div'].some((op) => isPlain(node, op))) {
    const single = others.every((name) => {
      const tensor = walk.index.initializers.get(name)
      return tensor !== undefined && elementCount(tensor.dims) === 1
    })
    return single || (others.length === 1 && aligned(chain, walk, value, others[0]!) && carry(chain, walk, others[0]!))
  }
  if (isPlain(node, 'BatchNormalization') || isPlain(node, 'PRelu')) return others.every((name) => carry(chain, walk, name))
  if (!isPlain(node, 'Conv') || intAttribute(node, 'group', 1) !== chain.channels) return false
  const weight = walk.own(node.input[1])
  if (weight?.dims[0] !== chain.channels || weight.dims[1] !== 1) return false
  chain.carries.push({ name: weight.name ?? '', axis: 0, block: 1 })
  chain.depthwise.push(node)
  return node.input[2] ? carry(chain, walk, node.input[2]) : true
}
