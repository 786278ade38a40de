import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto } from '../codec/schema.ts'
import { tensorFloats } from '../codec/tensor-values.ts'
import { intAttribute } from '../graph/attributes.ts'
import { makeNode, makeTensor } from '../graph/build.ts'
import { dropUnused, nameSource } from '../graph/edit.ts'
import { constantTensor, type GraphIndex, indexGraph, isPlain, topologicalOrder } from '../graph/index-graph.ts'
import { mainGraph } from '../graph/walk.ts'
import { choosesNode, type NodeChoice } from './node-choice.ts'
import { foldable } from './smooth-folds.ts'

export interface SmoothSettings extends NodeChoice {
  /** How much of the difficulty moves into the weights: 0 none, 1 all of it. 0.5 in the paper. */
  alpha: number
  /** Where nothing before can take the factors: a Mul of its own, or left as it is. */
  insert_mul: boolean
}

export const defaultSmoothSettings: SmoothSettings = { alpha: 0.5, insert_mul: true }

export interface SmoothReport {
  /** Values whose factors went into a normalisation before them. */
  folded: string[]
  /** Values that got a Mul. */
  inserted: string[]
  /** Reason → values left alone. */
  left: Record<string, number>
}

/** A value and the products that read it. */
interface Group {
  value: string
  readers: NodeProto[]
  channels: number
}

/** Input-channel axis of a product's stored weight. */
const inputAxis = (node: NodeProto): 0 | 1 => (isPlain(node, 'Gemm') && intAttribute(node, 'transB', 0) !== 0 ? 1 : 0)

function groupsOf(index: GraphIndex, settings: SmoothSettings): Group[] {
  const chooses = choosesNode(settings, ['MatMul', 'Gemm'])
  const groups = new Map<string, Group>()
  for (const node of index.graph.node) {
    if (!chooses(node) || (isPlain(node, 'Gemm') && intAttribute(node, 'transA', 0) !== 0)) continue
    const weight = constantTensor(index, node.input[1] ?? '')
    const value = node.input[0] ?? ''
    if (!weight || weight.data_type !== DataType.FLOAT || weight.dims.length !== 2 || constantTensor(index, value)) continue
    const channels = weight.dims[inputAxis(node)] ?? 0
    const group = groups.get(value) ?? { value, readers: [], channels }
    if (group.channels === channels) group.readers.push(node)
    groups.set(value, group)
  }
  return [...groups.values()]
}

/** The values `smooth` wants to know the channel peaks of, for `observe`. */
export const smoothedValues = (model: ModelProto, settings: SmoothSettings = defaultSmoothSettings): Set<string> =>
  new Set(groupsOf(indexGraph(mainGraph(model), { ir_version: model.ir_version }), settings).map(({ value }) => value))

/**
 * SmoothQuant (Xiao et al., 2022): divides each input channel of a product by s = max|X|^α ÷ max|W|^(1−α) and multiplies the weights
 * that read it, which changes nothing but makes activations with outlier channels fit 8 bits per tensor. The division goes into the
 * LayerNormalization (or the Mul and Add of a written-out one) before the products when they are its only readers. Changes `model`
 * in place. `channel_peaks`: by value, from `observe` with `channels`.
 */
export function smooth(
  model: ModelProto,
  channel_peaks: ReadonlyMap<string, Float32Array>,
  settings: SmoothSettings = defaultSmoothSettings,
): SmoothReport {
  const graph = mainGraph(model)
  const index = indexGraph(graph, { ir_version: model.ir_version })
  const fresh = nameSource(model)
  const store = (base: string, dims: readonly number[], values: Float32Array): string => {
    const name = fresh(`${base}_smooth`)
    graph.initializer.push(makeTensor(name, dims, values))
    return name
  }
  const report: SmoothReport = { folded: [], inserted: [], left: {} }
  const leave = (reason: string): void => {
    report.left[reason] = (report.left[reason] ?? 0) + 1
  }
  for (const group of groupsOf(index, settings)) {
    const peaks = channel_peaks.get(group.value)
    if (peaks?.length !== group.channels) {
      leave('no peaks were observed')
      continue
    }
    const factors = factorsOf(index, group, peaks, settings.alpha)
    const only_readers =
      !index.outputs.has(group.value) &&
      (index.uses.get(group.value) ?? []).every(({ node, input }) => input === 0 && group.readers.includes(node))
    const folds = only_readers ? foldable(index, group.value, group.channels) : []
    if (folds.length === 0 && !settings.insert_mul) {
      leave('nothing before takes the factors')
      continue
    }
    for (const { node, input, tensor } of folds)
      node.input[input] = store(
        node.input[input] ?? '',
        tensor.dims,
        tensorFloats(tensor).map((value, at) => value / factors[at]!),
      )
    if (folds.length === 0) {
      const scaled = fresh(`${group.value}_smooth`)
      graph.node.push(
        makeNode(
          'Mul',
          [
            group.value,
            store(
              group.value,
              [group.channels],
              factors.map((factor) => 1 / factor),
            ),
          ],
          [scaled],
        ),
      )
      for (const node of group.readers) node.input[0] = scaled
    }
    for (const node of group.readers) scaleWeight(index, node, factors, store)
    ;(folds.length > 0 ? report.folded : report.inserted).push(group.value)
  }
  graph.node = topologicalOrder(graph)
  dropUnused(model)
  return report
}

/** s per channel; 1 where a channel was never used or has no weight. */
function factorsOf(index: GraphIndex, { readers, channels }: Group, peaks: Float32Array, alpha: number): Float32Array {
  const weight_peaks = new Float32Array(channels)
  for (const node of readers) {
    const weight = constantTensor(index, node.input[1] ?? '')!
    const [, second = 1] = weight.dims
    const rows_first = inputAxis(node) === 0
    tensorFloats(weight).forEach((value, at) => {
      const channel = rows_first ? Math.floor(at / second) : at % second
      weight_peaks[channel] = Math.max(weight_peaks[channel]!, Math.abs(value))
    })
  }
  return peaks.map((peak, channel) => {
    const factor = peak ** alpha / weight_peaks[channel]! ** (1 - alpha)
    return Number.isFinite(factor) && factor > 1e-5 ? factor : 1
  })
}

function scaleWeight(
  index: GraphIndex,
  node: NodeProto,
  factors: Float32Array,
  store: (base: string, dims: readonly number[], values: Float32Array) => string,
): void {
  const weight = constantTensor(index, node.input[1] ?? '')!
  const [, second = 1] = weight.dims
  const rows_first = inputAxis(node) === 0
  const values = tensorFloats(weight).map((value, at) => value * factors[rows_first ? Math.floor(at / second) : at % second]!)
  node.input[1] = store(node.input[1] ?? '', weight.dims, values)
}
