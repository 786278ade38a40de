import type { ModelProto, TensorProto } from '../../codec/schema.ts'
import { elementCount } from '../../codec/tensor-values.ts'
import type { Feeds } from '../../evaluate/tensors.ts'
import { OnnxFault } from '../../fault.ts'
import { intAttribute } from '../../graph/attributes.ts'
import { makeTensor } from '../../graph/build.ts'
import { dropUnused, nameSource, replaceNode } from '../../graph/edit.ts'
import { setOpset, settleIrVersion, stripUnusedDomains } from '../../graph/opsets.ts'
import { mainGraph } from '../../graph/walk.ts'
import type { QuantizationReport } from '../dynamic-int8.ts'
import { choosesNode, type NodeChoice } from '../node-choice.ts'
import { findTargets, type Target, type TargetKind } from '../targets.ts'
import type { BlockForm, BlockWeights } from './blocks.ts'
import { type Gram, gptq } from './gptq.ts'
import { inputGrams } from './grams.ts'
import { halfQuadratic } from './half-quadratic.ts'
import { gatherNode, type NBitsWriter, productNodes, rowsOf, type StoredBlocks, storeBlocks } from './rewrite.ts'
import { roundToNearest } from './round-to-nearest.ts'

export interface NBitsSettings extends NodeChoice, BlockForm {
  /** `rtn`: nearest code, grids by squared error. `hqq`: half-quadratic, no data. `gptq`: by the inputs' second moments. */
  algorithm: 'rtn' | 'hqq' | 'gptq'
  /** Of `rtn`: clip each block's range where that lowers its squared error. True unless told. */
  clip?: boolean
  /** How MatMulNBits computes: 0 and 1 in float32, 4 with activations rounded to int8, which is fastest. */
  accuracy_level: 0 | 1 | 4
  /** Embeddings too, as GatherBlockQuantized (always by `rtn`). */
  gather: boolean
  /** Weights with fewer elements stay floats. */
  min_elements?: number
}

export const defaultNBitsSettings: NBitsSettings = {
  ...{ bits: 4, block_size: 32, symmetric: false },
  ...{ algorithm: 'rtn', accuracy_level: 4, gather: true },
}

const MIN_ELEMENTS = 1024

/** By name of a value: Σ xᵀ·x over calibration samples; what `gptq` needs. */
export type Grams = ReadonlyMap<string, Gram>

const targetsFor = (model: ModelProto, settings: NBitsSettings) => {
  const chooses = choosesNode(settings, settings.gather ? ['MatMul', 'Gemm', 'Gather'] : ['MatMul', 'Gemm'])
  const turned = (node: Target['node']): boolean => node.op_type === 'Gemm' && intAttribute(node, 'transA', 0) !== 0
  return findTargets(model, {
    kinds: new Set<TargetKind>(['MatMul', 'Gemm', 'Gather']),
    grouped_conv: false,
    min_elements: settings.min_elements ?? MIN_ELEMENTS,
    leave: (node) => !chooses(node) || turned(node),
  })
}

/** The second moments `gptq` needs for the products it would rewrite in the outermost graph. What `inputGrams` throws. */
export const gramsFor = (model: ModelProto, samples: readonly Feeds[], settings: NBitsSettings): Promise<Map<string, Gram>> => {
  const products = targetsFor(model, settings).targets.filter(({ kind, index }) => kind !== 'Gather' && !index.outer)
  return inputGrams(model, samples, new Set(products.map(({ node }) => node.input[0] ?? '')))
}

function checkForm({ bits, block_size }: BlockForm): void {
  if (bits !== 4 && bits !== 8) throw new OnnxFault('unsupported', `Weights of ${bits} bits; wanted 4 or 8`)
  if (block_size < 16 || !Number.isInteger(Math.log2(block_size)))
    throw new OnnxFault('unsupported', `Blocks of ${block_size}; wanted a power of two, 16 or more`)
}

/**
 * Weight-only quantization to 4 or 8 bits in blocks: MatMul and Gemm become com.microsoft.MatMulNBits, embeddings
 * GatherBlockQuantized. Activations stay floats. Changes `model` in place; inputs, outputs and their names stay.
 * @throws OnnxFault unsupported for a form the operators do not know, or `gptq` without `grams`
 */
export function quantizeNBits(model: ModelProto, settings: NBitsSettings, grams?: Grams): QuantizationReport {
  checkForm(settings)
  if (settings.algorithm === 'gptq' && !grams)
    throw new OnnxFault('unsupported', 'GPTQ needs the second moments of the inputs: pass what gramsFor answers')
  const { targets, left } = targetsFor(model, settings)
  const stored = new Map<TensorProto, Map<string, StoredBlocks>>()
  const fresh = nameSource(model)
  const writer: NBitsWriter = {
    accuracy_level: settings.accuracy_level,
    fresh,
    store(base, dims, values) {
      const name = fresh(base)
      mainGraph(model).initializer.push(makeTensor(name, dims, values))
      return name
    },
  }
  const blocksOf = (target: Target): StoredBlocks => {
    const { kind, node, weight } = target
    // Nodes that read the same input share its moments; others of the same weight do not.
    const key = `${kind} ${intAttribute(node, 'transB', 0)} ${settings.algorithm === 'gptq' ? (node.input[0] ?? '') : ''}`
    const forms = stored.get(weight) ?? new Map<string, StoredBlocks>()
    stored.set(weight, forms)
    const known = forms.get(key) ?? storeBlocks(writer, target, quantizedBlocks(target, settings, grams))
    forms.set(key, known)
    return known
  }
  const quantized: QuantizationReport['quantized'] = {}
  for (const target of targets) {
    const nodes =
      target.kind === 'Gather' ? [gatherNode(target, blocksOf(target))] : productNodes(writer, target, blocksOf(target))
    replaceNode(target.index.graph, target.node, nodes)
    quantized[target.kind] = (quantized[target.kind] ?? 0) + 1
  }
  if (targets.length > 0) setOpset(model, 'com.microsoft', 1)
  dropUnused(model)
  stripUnusedDomains(model)
  settleIrVersion(model)
  return { quantized, left }
}

/** `gptq` falls back to `rtn` where nothing is known of the input: in sub-graphs, and for very wide layers. */
function quantizedBlocks(target: Target, settings: NBitsSettings, grams: Grams | undefined): BlockWeights {
  const { matrix, rows, columns } = rowsOf(target)
  const form: BlockForm = { bits: settings.bits, block_size: settings.block_size, symmetric: settings.symmetric }
  if (target.kind !== 'Gather' && settings.algorithm === 'hqq') return halfQuadratic(matrix, rows, columns, form)
  const gram = settings.algorithm === 'gptq' && !target.index.outer ? grams?.get(target.node.input[0] ?? '') : undefined
  if (target.kind !== 'Gather' && gram) return gptq(matrix, rows, columns, form, gram)
  return roundToNearest(matrix, rows, columns, form, settings.clip ?? true)
}

/** Bytes the quantized form of a weight takes: codes, scales and zero points. For a size model before anything is built. */
export const nBitsBytes = (weight: TensorProto, columns: number, { bits, block_size, symmetric }: BlockForm): number => {
  const rows = elementCount(weight.dims) / columns
  const blocks = Math.ceil(columns / block_size)
  return rows * ((blocks * block_size * bits) / 8 + blocks * 4 + (symmetric ? 0 : Math.ceil((blocks * bits) / 8)))
}
