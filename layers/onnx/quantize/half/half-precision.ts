import { DataType } from '../../codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../../codec/schema.ts'
import { tensorFloats } from '../../codec/tensor-values.ts'
import { attributeOf, intAttribute } from '../../graph/attributes.ts'
import { intAttr, makeNode } from '../../graph/build.ts'
import { dropUnused, nameSource } from '../../graph/edit.ts'
import { constantTensor, type GraphIndex, indexGraph, isPlain, topologicalOrder } from '../../graph/index-graph.ts'
import { settleIrVersion } from '../../graph/opsets.ts'
import { mainGraph, subGraphs, usedNames } from '../../graph/walk.ts'
import { choosesNode, type NodeChoice } from '../node-choice.ts'
import type { Ranges } from '../static/settings.ts'
import { halfTensor, MOST_HALF } from './to-half.ts'

/**
 * Operators whose specification or kernels want float32, or that lose too much: ONNX Runtime's list, and BatchNormalization, whose
 * variances leave the range of halves (seen in a trained detector: every second output wrong). Folding constants first removes most.
 */
export const FLOAT_OP_TYPES: readonly string[] = (
  'ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer Imputer LabelEncoder LinearClassifier ' +
  'LinearRegressor Normalizer OneHotEncoder SVMClassifier SVMRegressor Scaler TreeEnsembleClassifier TreeEnsembleRegressor ZipMap ' +
  'NonMaxSuppression TopK RoiAlign Range CumSum Upsample Resize LSTM GRU RNN ConstantOfShape RandomNormal RandomUniform ' +
  'RandomNormalLike RandomUniformLike Multinomial EyeLike Bernoulli QuantizeLinear DequantizeLinear DynamicQuantizeLinear ' +
  'QLinearConv QLinearMatMul ConvInteger MatMulInteger MelWeightMatrix HannWindow HammingWindow BlackmanWindow DFT STFT If Loop Scan ' +
  'Constant CastLike BatchNormalization SequenceAt SequenceConstruct SequenceEmpty SequenceInsert SplitToSequence ConcatFromSequence Optional'
).split(' ')

export interface HalfSettings extends NodeChoice {
  /** Operators that stay float32, besides `FLOAT_OP_TYPES`. */
  block_op_types?: readonly string[]
  /** Calibrated ranges: nodes with a value beyond 65504 stay float32. */
  ranges?: Ranges
}

export interface HalfReport {
  /** Nodes that compute in float16, by operator. */
  half: Record<string, number>
  /** Nodes kept in float32, by operator. */
  float: Record<string, number>
  casts: number
  /** Weight elements beyond ±65504 that were cut off. */
  clamped: number
}

interface Converter {
  index: GraphIndex
  types: ReadonlyMap<string, string>
  fresh(base: string): string
  store(tensor: TensorProto): void
  /** float32 value → its float16 twin. */
  twins: Map<string, string>
  added: NodeProto[]
  report: HalfReport
}

/**
 * Half precision: weights and arithmetic in float16, inputs and outputs in float32 as they were. Every value keeps its name for its
 * float32 form; float16 nodes compute twins, and a Cast stands where a float32 reader needs one. On CPUs this halves the file and
 * little else. Changes `model` in place (its outermost graph; nodes with sub-graphs stay float32). `types`: from `inferredTypes`
 * of the very same model.
 */
export function convertToHalf(model: ModelProto, types: ReadonlyMap<string, string>, settings: HalfSettings = {}): HalfReport {
  const graph = mainGraph(model)
  const converter: Converter = {
    index: indexGraph(graph, { ir_version: model.ir_version }),
    types,
    fresh: nameSource(model),
    store: (tensor) => graph.initializer.push(tensor),
    twins: new Map(),
    added: [],
    report: { half: {}, float: {}, casts: 0, clamped: 0 },
  }
  const chosen = topologicalOrder(graph).filter((node) => becomesHalf(converter, node, settings))
  const half = new Set(chosen)
  for (const node of chosen)
    for (const name of node.output) if (isFloat(converter, name)) converter.twins.set(name, converter.fresh(`${name}_half`))
  for (const node of graph.node) {
    const counts = half.has(node) ? converter.report.half : converter.report.float
    if (!isPlain(node, 'Constant')) counts[node.op_type ?? ''] = (counts[node.op_type ?? ''] ?? 0) + 1
  }
  const wanted = floatReadings(converter, graph.node, half)
  for (const node of chosen) toHalfNode(converter, node, wanted)
  graph.node.push(...converter.added)
  graph.node = topologicalOrder(graph)
  dropUnused(model)
  settleIrVersion(model)
  return converter.report
}

const isFloat = (converter: Converter, name: string): boolean =>
  (converter.types.get(name) ?? (constantTensor(converter.index, name)?.data_type === DataType.FLOAT ? 'float32' : '')) ===
  'float32'

function becomesHalf(converter: Converter, node: NodeProto, settings: HalfSettings): boolean {
  const blocked = new Set([...FLOAT_OP_TYPES, ...(settings.block_op_types ?? [])])
  if (blocked.has(node.op_type ?? '') || subGraphs(node).length > 0) return false
  if (!choosesNode(settings, [node.op_type ?? ''])(node)) return false
  const values = [...node.input, ...node.output].filter((name) => name !== '')
  if (!values.some((name) => isFloat(converter, name))) return false
  // A cast from another type may as well yield halves; one from float32 to another reads what is there.
  if (isPlain(node, 'Cast')) return intAttribute(node, 'to', 0) === DataType.FLOAT
  if (node.output.some((name) => name !== '' && !converter.types.has(name))) return false
  if (!CLAMPS.has(node.op_type ?? '') && node.input.some((name) => storesOverflow(converter.index, name))) return false
  return values.every((name) => {
    const range = settings.ranges?.get(name)
    return !range || Math.max(-range.min, range.max) <= MOST_HALF
  })
}

/** Operators that a number cut off at 65504 does not hurt: masks of attention, limits, fillers. */
const CLAMPS: ReadonlySet<string> = new Set(['Add', 'Sub', 'Where', 'Clip', 'Min', 'Max', 'Pad', 'Concat', 'Expand'])

const storesOverflow = (index: GraphIndex, name: string): boolean => {
  const tensor = constantTensor(index, name)
  if (tensor?.data_type !== DataType.FLOAT) return false
  return tensorFloats(tensor).some((value) => Math.abs(value) > MOST_HALF && Number.isFinite(value))
}

/** Values that somebody reads as float32: other nodes, sub-graphs, callers. */
function floatReadings(converter: Converter, nodes: readonly NodeProto[], half: ReadonlySet<NodeProto>): Set<string> {
  const wanted = new Set(converter.index.outputs)
  for (const node of nodes) if (!half.has(node)) for (const name of usedNames(node)) wanted.add(name)
  return wanted
}

function toHalfNode(converter: Converter, node: NodeProto, wanted: ReadonlySet<string>): void {
  node.input = node.input.map((name) => (name !== '' && isFloat(converter, name) ? twinOf(converter, name) : name))
  if (isPlain(node, 'Cast')) node.attribute = [intAttr('to', DataType.FLOAT16)]
  const value = attributeOf(node, 'value')
  if (value?.t?.data_type === DataType.FLOAT) value.t = halfTensor('', value.t).tensor
  node.output = node.output.map((name) => {
    const twin = converter.twins.get(name)
    if (name === '' || !twin) return name
    if (wanted.has(name)) addCast(converter, twin, name, DataType.FLOAT)
    return twin
  })
}

/** The float16 form of a value: computed as such, stored as such, or cast once. */
function twinOf(converter: Converter, name: string): string {
  const known = converter.twins.get(name)
  if (known) return known
  const twin = converter.fresh(`${name}_half`)
  converter.twins.set(name, twin)
  const tensor = constantTensor(converter.index, name)
  if (!tensor) addCast(converter, name, twin, DataType.FLOAT16)
  else {
    const made = halfTensor(twin, tensor)
    converter.store(made.tensor)
    converter.report.clamped += made.clamped
  }
  return twin
}

function addCast(converter: Converter, from: string, to: string, type: number): void {
  converter.added.push(makeNode('Cast', [from], [to], { attributes: [intAttr('to', type)], name: converter.fresh(`${to}_cast`) }))
  converter.report.casts++
}
