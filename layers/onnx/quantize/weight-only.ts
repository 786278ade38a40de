import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { intAttribute } from '../graph/attributes.ts'
import { intAttr, makeNode, makeTensor } from '../graph/build.ts'
import { dropUnused, nameSource } from '../graph/edit.ts'
import { settleIrVersion, stripUnusedDomains } from '../graph/opsets.ts'
import { upgradeOpset } from '../graph/upgrade.ts'
import { mainGraph } from '../graph/walk.ts'
import type { QuantizationReport } from './dynamic-int8.ts'
import { halfTensor } from './half/to-half.ts'
import type { Gram } from './nbits/gptq.ts'
import { choosesNode, type NodeChoice } from './node-choice.ts'
import { type FinerBits, partsOf, type Remainders, remaindersIn } from './remainders.ts'
import { type AxisWeights, quantizeAlong, quantizeFiner } from './static/weight.ts'
import { findTargets, type Target, type TargetKind } from './targets.ts'

export interface WeightOnlySettings extends NodeChoice {
  /** Weights with fewer elements stay floats. */
  min_elements?: number
  /**
   * When weights become floats again. `run`: a DequantizeLinear at every run. `load`: a Cast and a Mul, which onnxruntime folds when
   * it loads the model: arithmetic, latency and memory of the original from a quarter of its bytes. `run` unless told.
   */
  widen?: 'run' | 'load'
  /** First outputs of nodes whose weights are stored as halves instead; only with `load`. */
  halves?: ReadonlySet<string>
  /** By first output of nodes whose weights get more than eight bits, how many; only with `load`, embeddings stay at eight. */
  finer?: ReadonlyMap<string, FinerBits>
  /** By first output of a product, from `productGrams`: its weights are rounded in order (GPTQ), each making good what others lost. */
  grams?: ReadonlyMap<string, Gram>
  /** Codes already found, by first output: for candidates that differ only in which nodes are halves or floats. Filled on the way. */
  memo?: Map<string, AxisWeights>
}

/** Scales per channel came with operator set 13. */
const NEEDED_OPSET = 13
const MIN_ELEMENTS = 1024
const KINDS: readonly TargetKind[] = ['MatMul', 'Gemm', 'Conv', 'Gather']

/** Output-channel axis by operator; an embedding has a scale per row, which differ far more than its columns. */
const axisOf = ({ kind, node }: Target): number => {
  if (kind === 'Conv' || kind === 'Gather') return 0
  return kind === 'Gemm' && intAttribute(node, 'transB', 0) !== 0 ? 0 : 1
}

/** The nodes whose weights `quantizeWeightsOnly` would store in 8 bits. */
export const weightOnlyTargets = (model: ModelProto, settings: WeightOnlySettings) => {
  const chooses = choosesNode(settings, KINDS)
  return findTargets(model, {
    kinds: new Set(KINDS),
    grouped_conv: true,
    min_elements: settings.min_elements ?? MIN_ELEMENTS,
    leave: (node) => !chooses(node),
  })
}

interface Writer {
  settings: WeightOnlySettings
  outermost: NodeProto[]
  remainders: Remainders
  fresh(base: string): string
  store(base: string, dims: readonly number[], values: Parameters<typeof makeTensor>[2]): string
  add(tensor: TensorProto): void
}

/**
 * Weights as s8 per channel, arithmetic in floats: a quarter of the bytes with standard operators alone. With `run`, onnxruntime 1.30
 * makes MatMulNBits of a MatMul with such a weight, and dequantizes convolutions every time (0.6–1.0 times the original's speed); with
 * `load` nothing runs slower. An embedding gathers first and widens the rows asked for. Changes `model` in place.
 * @throws OnnxFault unsupported when the operator set cannot be raised to 13, or a weight's second moments have no factor
 */
export function quantizeWeightsOnly(model: ModelProto, settings: WeightOnlySettings = {}): QuantizationReport {
  if (settings.widen !== 'load') upgradeOpset(model, NEEDED_OPSET)
  const { targets, left } = weightOnlyTargets(model, settings)
  const graph = mainGraph(model)
  const fresh = nameSource(model)
  const writer: Writer = {
    settings,
    outermost: graph.node,
    remainders: remaindersIn(model, fresh),
    fresh,
    store(base, dims, values) {
      const name = fresh(base)
      graph.initializer.push(makeTensor(name, dims, values))
      return name
    },
    add: (tensor) => graph.initializer.push(tensor),
  }
  const stored = new Map<TensorProto, Map<string, Stored>>()
  const quantized: QuantizationReport['quantized'] = {}
  for (const target of targets) {
    const forms = stored.get(target.weight) ?? new Map<string, Stored>()
    stored.set(target.weight, forms)
    // An embedding's scales are a column, a product's stand on its own axis.
    const form = `${axisOf(target)} ${target.kind === 'Gather'}`
    const known = forms.get(form) ?? storedWeight(writer, target)
    forms.set(form, known)
    if (target.kind === 'Gather') gatherFirst(target, known, fresh)
    else target.node.input[1] = known.floats
    quantized[target.kind] = (quantized[target.kind] ?? 0) + 1
  }
  writer.remainders.finish()
  dropUnused(model)
  stripUnusedDomains(model)
  settleIrVersion(model)
  return { quantized, left }
}

/** Names of what is stored; `floats` of the widened weight, '' for embeddings, whose rows are widened one by one. */
interface Stored {
  codes: string
  scale: string
  floats: string
}

function storedWeight(writer: Writer, target: Target): Stored {
  const { weight, node, kind } = target
  const { settings, fresh, store } = writer
  const base = weight.name || 'weight'
  const widened = (op_type: string, inputs: string[], output: string, attributes = [intAttr('to', DataType.FLOAT)]): string => {
    writer.outermost.unshift(makeNode(op_type, inputs, [output], { attributes }))
    return output
  }
  if (settings.halves?.has(node.output[0] ?? '') && kind !== 'Gather') {
    const { tensor } = halfTensor(fresh(`${base}_half`), weight)
    writer.add(tensor)
    return { codes: '', scale: '', floats: widened('Cast', [tensor.name ?? ''], fresh(`${base}_float`)) }
  }
  const axis = axisOf(target)
  const output = node.output[0] ?? ''
  const bits = settings.finer?.get(output)
  if (bits && kind !== 'Gather') {
    const made = quantizeFiner(weight, axis, partsOf(bits), settings.grams?.get(output))
    const { values, remainder } = writer.remainders.take(made.codes, weight.dims, bits)
    const scale_dims = weight.dims.slice(axis).map((_, at) => (at === 0 ? made.scales.length : 1))
    const names = [fresh(`${base}_codes`), fresh(`${base}_fine`), fresh(`${base}_float`)] as const
    widened('Mul', [names[1], store(`${base}_scale`, scale_dims, made.scales)], names[2], [])
    widened('Add', [names[0], remainder], names[1], [])
    widened('Cast', [store(`${base}_int8`, weight.dims, values)], names[0])
    return { codes: '', scale: '', floats: names[2] }
  }
  const made = settings.memo?.get(output) ?? quantizeAlong(weight, axis, 's8', { gram: settings.grams?.get(output) })
  settings.memo?.set(output, made)
  const count = made.scales.length
  const codes = store(`${base}_int8`, weight.dims, made.values)
  if (kind === 'Gather') return { codes, scale: store(`${base}_scale`, [count, 1], made.scales), floats: '' }
  const floats = fresh(`${base}_float`)
  if (settings.widen !== 'load') {
    const scale = store(`${base}_scale`, [count], made.scales)
    // All 0; where the CPU wants unsigned weights onnxruntime rewrites them, and needs a zero point per channel for it.
    const zero = store(`${base}_zero`, [count], new Int8Array(count))
    widened('DequantizeLinear', [codes, scale, zero], floats, [intAttr('axis', axis)])
    return { codes, scale, floats }
  }
  const scale_dims = weight.dims.slice(axis).map((_, at) => (at === 0 ? count : 1))
  const scale = store(`${base}_scale`, scale_dims, made.scales)
  const plain = fresh(`${base}_codes`)
  widened('Mul', [plain, scale], floats, [])
  widened('Cast', [codes], plain)
  return { codes, scale, floats }
}

/** Rows are picked as int8 with their scales, and only those are widened. */
function gatherFirst({ node, index }: Target, { codes, scale }: Stored, fresh: Writer['fresh']): void {
  const [result, indices] = [node.output[0] ?? '', node.input[1] ?? '']
  const [picked, factor, floats] = [fresh(`${result}_int8`), fresh(`${result}_scale`), fresh(`${result}_float`)]
  const gathers = [
    { ...makeNode('Gather', [codes, indices], [picked]), attribute: node.attribute },
    { ...makeNode('Gather', [scale, indices], [factor]), attribute: node.attribute },
    makeNode('Cast', [picked], [floats], { attributes: [intAttr('to', DataType.FLOAT)] }),
    makeNode('Mul', [floats, factor], [result]),
  ]
  index.graph.node.splice(index.graph.node.indexOf(node), 1, ...gathers)
}
