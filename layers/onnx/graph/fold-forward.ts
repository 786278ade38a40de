import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { tensorFloats } from '../codec/tensor-values.ts'
import { intAttribute, intsAttribute, stringAttribute } from './attributes.ts'
import { makeTensor } from './build.ts'
import { dropUnused, nameSource, replaceUses } from './edit.ts'
import { constantTensor, type GraphIndex, indexGraph, isPlain } from './index-graph.ts'
import { mainGraph } from './walk.ts'

/** A convolution that reads a value and can take up what was multiplied with it, or added to it, channel by channel. */
interface Reader {
  node: NodeProto
  weight: TensorProto
  /** Input channel of an element of the weight. */
  channelOf(at: number): number
  channels: number
}

/**
 * Folds Mul and Add of stored numbers, one per channel or one for all, into the weights and biases of the convolutions that read the
 * result, where nothing else does: the other direction of `foldAffine`. An Add goes only where nothing is padded (the border would
 * differ). Left alone is what onnxruntime knows by its factors, GELU and LayerNormalization: its one kernel is worth more. Exact but for
 * rounding. Changes the outermost graph; answers how many nodes went.
 */
export function foldForward(model: ModelProto): number {
  let folded = 0
  while (foldOne(model)) folded++
  if (folded > 0) dropUnused(model)
  return folded
}

function foldOne(model: ModelProto): boolean {
  const graph = mainGraph(model)
  const index = indexGraph(graph, { ir_version: model.ir_version })
  for (const node of graph.node) {
    const mul = isPlain(node, 'Mul')
    const output = node.output[0] ?? ''
    if ((!mul && !isPlain(node, 'Add')) || node.input.length !== 2 || index.outputs.has(output)) continue
    const readers = readersOf(index, output)
    const at = node.input.findIndex((name) => constantTensor(index, name) !== undefined)
    const tensor = constantTensor(index, node.input[at] ?? '')
    if (!readers || insidePattern(index, node) || !tensor || constantTensor(index, node.input[1 - at] ?? '')) continue
    const channels = readers[0]!.channels
    const numbers = perChannel(tensor, channels, spatialAxes(readers[0]!))
    if (!numbers || readers.some((reader) => reader.channels !== channels || (!mul && !takesShift(index, reader)))) continue
    for (const reader of readers) (mul ? scale : shift)(model, index, reader, numbers)
    replaceUses(graph, output, node.input[1 - at] ?? '')
    graph.node.splice(graph.node.indexOf(node), 1)
    return true
  }
  return false
}

const spatialAxes = ({ weight }: Reader): number => weight.dims.length - 2

/** All readers of a value, if each is a convolution with a stored weight; undefined otherwise. */
function readersOf(index: GraphIndex, value: string): Reader[] | undefined {
  const uses = index.uses.get(value) ?? []
  if (uses.length === 0) return undefined
  const readers = uses.map(({ node, input }) => (input === 0 ? readerOf(index, node) : undefined))
  return readers.every((reader) => reader !== undefined) ? readers : undefined
}

function readerOf(index: GraphIndex, node: NodeProto): Reader | undefined {
  const weight = constantTensor(index, node.input[1] ?? '')
  // A weight that others read too would be stored twice.
  if (weight?.data_type !== DataType.FLOAT || (index.uses.get(node.input[1] ?? '') ?? []).length !== 1) return undefined
  const [first = 0, second = 0] = weight.dims
  if (isPlain(node, 'Conv') && weight.dims.length >= 3) {
    const groups = intAttribute(node, 'group', 1)
    const inner = weight.dims.slice(2).reduce((product, size) => product * size, 1)
    const per_group = first / groups
    const channelOf = (at: number): number =>
      Math.floor(Math.floor(at / (inner * second)) / per_group) * second + (Math.floor(at / inner) % second)
    return { node, weight, channelOf, channels: second * groups }
  }
  return undefined
}

/** Operators of GELU and the like, whose factors onnxruntime looks for when it makes one kernel of the whole. */
const PATTERNS = ['Erf', 'Tanh']
const PATTERN_DEPTH = 4

function insidePattern(index: GraphIndex, node: NodeProto, depth = PATTERN_DEPTH): boolean {
  if (PATTERNS.some((operator) => isPlain(node, operator))) return true
  return (
    depth > 0 &&
    node.input.some((name) => {
      const before = index.producers.get(name)
      return (
        before !== undefined &&
        ['Mul', 'Add', 'Erf', 'Tanh'].includes(before.op_type ?? '') &&
        insidePattern(index, before, depth - 1)
      )
    })
  )
}

/** One number per channel of a value whose channels stand before so many axes; undefined for another form. */
function perChannel(tensor: TensorProto, channels: number, after: number): Float32Array | undefined {
  const place = tensor.dims.length - 1 - after
  const fits =
    tensor.data_type === DataType.FLOAT &&
    tensor.dims.length <= after + 2 &&
    tensor.dims.every((size, axis) => size === 1 || (axis === place && size === channels))
  if (!fits) return undefined
  const values = tensorFloats(tensor)
  return values.length === 1 ? new Float32Array(channels).fill(values[0]!) : values
}

/** Without padding a number added to every position of a channel adds the same to every position of the results. */
function takesShift(index: GraphIndex, { node, weight }: Reader): boolean {
  const bias = node.input[2] ?? ''
  const stored = bias === '' || constantTensor(index, bias)?.data_type === DataType.FLOAT
  if (!isPlain(node, 'Conv') || !stored) return false
  const auto_pad = stringAttribute(node, 'auto_pad', 'NOTSET')
  const pads = intsAttribute(node, 'pads') ?? []
  const point = weight.dims.slice(2).every((size) => size === 1)
  return pads.every((size) => size === 0) && (['', 'NOTSET', 'VALID'].includes(auto_pad) || point)
}

function scale(model: ModelProto, _index: GraphIndex, { node, weight, channelOf }: Reader, numbers: Float32Array): void {
  const name = nameSource(model)(`${node.input[1]}_scaled`)
  const values = tensorFloats(weight).map((value, at) => value * numbers[channelOf(at)]!)
  mainGraph(model).initializer.push(makeTensor(name, weight.dims, values))
  node.input[1] = name
}

function shift(model: ModelProto, index: GraphIndex, { node, weight, channelOf }: Reader, numbers: Float32Array): void {
  const [outputs = 1] = weight.dims
  const weights = tensorFloats(weight)
  const each = weights.length / outputs
  const before = constantTensor(index, node.input[2] ?? '')
  const sums = before ? Float64Array.from(tensorFloats(before)) : new Float64Array(outputs)
  for (let at = 0; at < weights.length; at++) sums[Math.floor(at / each)]! += weights[at]! * numbers[channelOf(at)]!
  const name = nameSource(model)(`${node.output[0]}_shifted_bias`)
  mainGraph(model).initializer.push(makeTensor(name, [outputs], Float32Array.from(sums)))
  node.input = [node.input[0] ?? '', node.input[1] ?? '', name]
}
