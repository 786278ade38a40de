import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { intAttribute } from '../graph/attributes.ts'
import { intAttr, makeNode, makeTensor } from '../graph/build.ts'
import { dropUnused, nameSource } from '../graph/edit.ts'
import { settleIrVersion, stripUnusedDomains } from '../graph/opsets.ts'
import { upgradeOpset } from '../graph/upgrade.ts'
import { mainGraph } from '../graph/walk.ts'
import type { QuantizationReport } from './dynamic-int8.ts'
import { choosesNode, type NodeChoice } from './node-choice.ts'
import { quantizeAlong } from './static/weight.ts'
import { findTargets, type Target, type TargetKind } from './targets.ts'

export interface WeightOnlySettings extends NodeChoice {
  /** Weights with fewer elements stay floats. */
  min_elements?: number
}

/** Scales per channel came with operator set 13. */
const NEEDED_OPSET = 13
const MIN_ELEMENTS = 1024

/** Output-channel axis by operator; an embedding has a scale per row, which differ far more than its columns. */
const axisOf = ({ kind, node }: Target): number => {
  if (kind === 'Conv' || kind === 'Gather') return 0
  return kind === 'Gemm' && intAttribute(node, 'transB', 0) !== 0 ? 0 : 1
}

/**
 * Weights as s8 per channel behind a DequantizeLinear: a quarter of the bytes with standard operators alone and arithmetic in
 * floats. onnxruntime 1.30 makes MatMulNBits of a MatMul with such a weight; convolutions are dequantized at every run, so there it is
 * for size, never for speed (0.6–1.0 times the original's). An embedding gathers first and dequantizes the rows asked for. Changes
 * `model` in place.
 * @throws OnnxFault unsupported when the operator set cannot be raised to 13
 */
export function quantizeWeightsOnly(model: ModelProto, settings: WeightOnlySettings = {}): QuantizationReport {
  upgradeOpset(model, NEEDED_OPSET)
  const chooses = choosesNode(settings, ['MatMul', 'Gemm', 'Conv', 'Gather'])
  const { targets, left } = findTargets(model, {
    kinds: new Set<TargetKind>(['MatMul', 'Gemm', 'Conv', 'Gather']),
    grouped_conv: true,
    min_elements: settings.min_elements ?? MIN_ELEMENTS,
    leave: (node) => !chooses(node),
  })
  const graph = mainGraph(model)
  const fresh = nameSource(model)
  const dequantized = new Map<TensorProto, Map<string, Stored>>()
  const store = (base: string, ...[dims, values]: [readonly number[], Parameters<typeof makeTensor>[2]]): string => {
    const name = fresh(base)
    graph.initializer.push(makeTensor(name, dims, values))
    return name
  }
  const storedFor = (target: Target): Stored => {
    const { weight } = target
    const axis = axisOf(target)
    const axes = dequantized.get(weight) ?? new Map<string, Stored>()
    dequantized.set(weight, axes)
    // An embedding's scales are a column, a product's a row.
    const form = `${axis} ${target.kind === 'Gather'}`
    const known = axes.get(form)
    if (known) return known
    const made = quantizeAlong(weight, axis, 's8')
    const base = weight.name || 'weight'
    const dims = target.kind === 'Gather' ? [made.scales.length, 1] : [made.scales.length]
    const stored = {
      axis,
      codes: store(`${base}_int8`, weight.dims, made.values),
      scale: store(`${base}_scale`, dims, made.scales),
      // All 0; where the CPU wants unsigned weights onnxruntime rewrites them, and needs a zero point per channel for it.
      zero: store(`${base}_zero`, [made.scales.length], new Int8Array(made.scales.length)),
      floats: '',
    }
    axes.set(form, stored)
    return stored
  }
  const quantized: QuantizationReport['quantized'] = {}
  for (const target of targets) {
    rewrite(target, storedFor(target), fresh, graph.node)
    quantized[target.kind] = (quantized[target.kind] ?? 0) + 1
  }
  dropUnused(model)
  stripUnusedDomains(model)
  settleIrVersion(model)
  return { quantized, left }
}

interface Stored {
  axis: number
  codes: string
  scale: string
  zero: string
  /** The dequantized weight, once a product needed it. */
  floats: string
}

/** `outermost`: nodes whose results every sub-graph sees. */
function rewrite({ kind, node, index }: Target, stored: Stored, fresh: (base: string) => string, outermost: NodeProto[]): void {
  if (kind !== 'Gather') {
    if (stored.floats === '') {
      stored.floats = fresh(`${stored.codes}_float`)
      outermost.unshift(
        makeNode('DequantizeLinear', [stored.codes, stored.scale, stored.zero], [stored.floats], {
          attributes: [intAttr('axis', stored.axis)],
        }),
      )
    }
    node.input[1] = stored.floats
    return
  }
  const [result, indices] = [node.output[0] ?? '', node.input[1] ?? '']
  const [picked, scale, floats] = [fresh(`${result}_int8`), fresh(`${result}_scale`), fresh(`${result}_float`)]
  const gathers = [
    { ...makeNode('Gather', [stored.codes, indices], [picked]), attribute: node.attribute },
    { ...makeNode('Gather', [stored.scale, indices], [scale]), attribute: node.attribute },
    makeNode('Cast', [picked], [floats], { attributes: [intAttr('to', 1)] }),
    makeNode('Mul', [floats, scale], [result]),
  ]
  index.graph.node.splice(index.graph.node.indexOf(node), 1, ...gathers)
}
