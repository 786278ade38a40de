import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { isOnnxFault } from '../fault.ts'
import { makeNode } from '../graph/build.ts'
import { dropUnused, nameSource, replaceNode } from '../graph/edit.ts'
import { opsetOf, setOpset, settleIrVersion, stripUnusedDomains } from '../graph/opsets.ts'
import { upgradeOpset } from '../graph/upgrade.ts'
import { mainGraph } from '../graph/walk.ts'
import type { Gram } from './nbits/gptq.ts'
import { choosesNode, type NodeChoice } from './node-choice.ts'
import { type RewriteContext, rewrite, type StoredWeight } from './rewrites.ts'
import { type Found, findTargets, type Target, type TargetKind } from './targets.ts'
import type { WeightType } from './weights.ts'

export interface DynamicInt8Settings extends NodeChoice {
  weight_type: WeightType
  /** One scale per output channel of a product or convolution; else one for the whole weight. True unless told. */
  per_channel?: boolean
  /** `none`; `dense`: ungrouped ones; `all`: also grouped and depthwise ones, for size alone. */
  conv: 'none' | 'dense' | 'all'
  gather: boolean
  /** First outputs of nodes to leave alone; an output's name is unique, a node's need not be. */
  exclude?: ReadonlySet<string>
  /** Weights with fewer elements stay floats. */
  min_elements?: number
  /** Leaves what `If`, `Loop` and `Scan` carry as it is. */
  main_graph_only?: boolean
  /** By first output of a product, from `productGrams`: its weights are rounded in order (GPTQ). */
  grams?: ReadonlyMap<string, Gram>
}

export interface QuantizationReport {
  /** Nodes rewritten, by operator. */
  quantized: Partial<Record<TargetKind, number>>
  /** Reason → nodes left alone. */
  left: Record<string, number>
}

/** DynamicQuantizeLinear came with operator set 11. */
const NEEDED_OPSET = 11
const MIN_ELEMENTS = 1024

/**
 * Dynamic int8 quantization: weights int8 per channel, activations u8 per tensor with ranges taken at run time, products in
 * integers. Changes `model` in place; inputs, outputs and their names stay. Operators by onnx.ai: DynamicQuantizeLinear,
 * MatMulInteger, ConvInteger. A model below operator set 11 that cannot be raised exactly gets com.microsoft's
 * DynamicQuantizeMatMul instead, which needs no raising; its convolutions stay floats.
 */
export function quantizeDynamic(model: ModelProto, settings: DynamicInt8Settings): QuantizationReport {
  const upgraded = raiseOpset(model)
  const { targets, left } = targetsOf(model, settings, upgraded)
  const context = rewriteContext(model, settings, upgraded)
  const quantized: QuantizationReport['quantized'] = {}
  for (const target of targets) {
    replaceNode(target.index.graph, target.node, rewrite(target, context))
    quantized[target.kind] = (quantized[target.kind] ?? 0) + 1
  }
  if (!upgraded && targets.length > 0) setOpset(model, 'com.microsoft', 1)
  dropUnused(model)
  stripUnusedDomains(model)
  settleIrVersion(model)
  return { quantized, left }
}

/** What `quantizeDynamic` would rewrite in a model whose operator set is already raised. */
export const targetsOf = (model: ModelProto, settings: DynamicInt8Settings, standard = true): Found =>
  findTargets(model, {
    kinds: kindsOf(settings, standard),
    grouped_conv: settings.conv === 'all',
    min_elements: settings.min_elements ?? MIN_ELEMENTS,
    leave: leaves(model, settings),
  })

const leaves = (model: ModelProto, settings: DynamicInt8Settings) => {
  const main = settings.main_graph_only ? new Set(mainGraph(model).node) : undefined
  const chooses = choosesNode(settings, ['MatMul', 'Gemm', 'Gather', 'Conv'])
  return (node: NodeProto): boolean =>
    !chooses(node) || main?.has(node) === false || (settings.exclude?.has(node.output[0] ?? '') ?? false)
}

/** Whether the standard operators can be used: the model is at operator set 11 or could be raised to it. */
function raiseOpset(model: ModelProto): boolean {
  if ((opsetOf(model) ?? 0) >= NEEDED_OPSET) return true
  try {
    upgradeOpset(model, NEEDED_OPSET)
    return true
  } catch (error) {
    if (isOnnxFault(error, 'unsupported')) return false
    throw error
  }
}

const kindsOf = (settings: DynamicInt8Settings, standard: boolean): Set<TargetKind> => {
  const kinds = new Set<TargetKind>(['MatMul', 'Gemm'])
  if (settings.gather) kinds.add('Gather')
  if (settings.conv !== 'none' && standard) kinds.add('Conv')
  return kinds
}

function rewriteContext(
  model: ModelProto,
  { weight_type, per_channel = true, grams }: DynamicInt8Settings,
  standard: boolean,
): RewriteContext {
  const freshName = nameSource(model)
  const initializers = mainGraph(model).initializer
  const stored = new Map<TensorProto, Map<string, StoredWeight>>()
  const activations = new Map<object, Map<string, Omit<ReturnType<RewriteContext['activation']>, 'nodes'>>>()
  return {
    weight_type,
    per_channel,
    grams,
    standard,
    freshName,
    // Names of the outermost graph are visible in every sub-graph.
    addInitializer: (tensor) => initializers.push(tensor),
    once: (weight, form, make) => {
      const forms = stored.get(weight) ?? new Map<string, StoredWeight>()
      stored.set(weight, forms)
      const known = forms.get(form) ?? make()
      forms.set(form, known)
      return known
    },
    activation: (target: Target) => {
      const input = target.node.input[0] ?? ''
      const graph = target.index.graph
      const known = activations.get(graph) ?? new Map()
      activations.set(graph, known)
      const found = known.get(input)
      if (found) return { nodes: [], ...found }
      const made = { quantized: freshName(`${input}_u8`), scale: freshName(`${input}_scale`), zero: freshName(`${input}_zero`) }
      known.set(input, made)
      const node: NodeProto = makeNode('DynamicQuantizeLinear', [input], [made.quantized, made.scale, made.zero])
      return { nodes: [node], ...made }
    },
  }
}
