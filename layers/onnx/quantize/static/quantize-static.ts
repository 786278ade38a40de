import type { ModelProto, NodeProto } from '../../codec/schema.ts'
import { tensorFloats } from '../../codec/tensor-values.ts'
import { makeNode, makeTensor } from '../../graph/build.ts'
import { dropUnused, nameSource } from '../../graph/edit.ts'
import { constantTensor, indexGraph, topologicalOrder } from '../../graph/index-graph.ts'
import { settleIrVersion, stripUnusedDomains } from '../../graph/opsets.ts'
import { upgradeOpset } from '../../graph/upgrade.ts'
import { mainGraph } from '../../graph/walk.ts'
import { type Follow, type PlannedUnit, planStatic } from './plan.ts'
import { quantizeValues, scaleFor } from './scales.ts'
import type { Ranges, StaticReport, StaticSettings } from './settings.ts'
import { addRounding, scaleOf, storeScale, type Writer, writeProduct } from './writer.ts'

/** Scales per channel came with operator set 13. */
const NEEDED_OPSET = 13

/**
 * Static quantization in QDQ form: QuantizeLinear and DequantizeLinear around operators, which onnxruntime fuses into integer
 * kernels when it loads the model. Weights 8-bit per channel, activations by their calibrated ranges, biases int32 at the scale
 * of the sums. Changes `model` in place (only its outermost graph); inputs, outputs and their names stay. Fold constants and batch
 * normalisation first (`normalisedModel`), and calibrate the very model that is passed here.
 * @throws OnnxFault unsupported when the operator set cannot be raised to 13, or a range is needed and none was observed
 */
export function quantizeStatic(model: ModelProto, ranges: Ranges, settings: StaticSettings): StaticReport {
  upgradeOpset(model, NEEDED_OPSET)
  const plan = planStatic(model, ranges, settings)
  const graph = mainGraph(model)
  const report: StaticReport = { quantized: {}, absorbed: 0, left: plan.left }
  const gone = new Set<NodeProto>()
  const added: NodeProto[] = []
  const fresh = nameSource(model)
  const writer: Writer = {
    index: indexGraph(graph, { ir_version: model.ir_version }),
    settings,
    scales: plan.scales,
    fresh,
    store(base, dims, values) {
      const name = fresh(base)
      graph.initializer.push(makeTensor(name, dims, values))
      return name
    },
    add: (node) => added.push(node),
    rounded: new Map(),
    stored: new Map(),
  }
  const own = new Set(plan.units.flatMap(({ output, quantizes_output }) => (quantizes_output ? [output] : [])))
  for (const planned of plan.units) {
    writeInputs(writer, planned, own)
    if (planned.quantizes_output && writeOutput(writer, planned)) {
      gone.add(planned.absorbed!)
      report.absorbed++
    }
    const op_type = planned.unit.node.op_type ?? ''
    report.quantized[op_type] = (report.quantized[op_type] ?? 0) + 1
  }
  graph.node = [...graph.node.filter((node) => !gone.has(node)), ...added]
  graph.node = topologicalOrder(graph)
  dropUnused(model)
  stripUnusedDomains(model)
  settleIrVersion(model)
  return report
}

/** The name under which a unit reads a value: itself when its maker rounds it, else a rounded copy. */
function readAs(writer: Writer, name: string, own: ReadonlySet<string>): string {
  if (own.has(name)) return name
  const known = writer.rounded.get(name)
  if (known) return known
  const rounded = writer.fresh(`${name}_rounded`)
  writer.rounded.set(name, rounded)
  addRounding(writer, name, rounded, name, scaleOf(writer, name))
  return rounded
}

function writeInputs(writer: Writer, { unit, reads }: PlannedUnit, own: ReadonlySet<string>): void {
  const names = new Map(reads.map((name) => [name, readAs(writer, name, own)]))
  const { node } = unit
  node.input = node.input.map((name) => names.get(name) ?? name)
  if (unit.kind === 'product') writeProduct(writer, unit, scaleOf(writer, reads[0] ?? ''))
  else writeConstants(writer, unit)
}

/**
 * Rounds what a unit yields, so that all readers, outputs and sub-graphs included, see the rounded value under the old name.
 * Answers whether the activation behind it went away.
 */
function writeOutput(writer: Writer, { unit, output, absorbed }: PlannedUnit): boolean {
  const last = unit.kind === 'product' ? (unit.bias_node ?? unit.node) : unit.node
  const removes = absorbed !== undefined && !writer.settings.keep_removable_activations
  const raw = writer.fresh(`${output}_raw`)
  const maker = absorbed && !removes ? absorbed : last
  maker.output = maker.output.map((_, at) => (at === 0 ? raw : maker.output[at]!))
  addRounding(writer, raw, output, output, scaleOf(writer, output))
  return removes
}

function writeConstants(writer: Writer, { node, constants }: Follow): void {
  for (const at of constants) {
    const name = node.input[at] ?? ''
    const tensor = constantTensor(writer.index, name)
    if (!tensor) continue
    const values = tensorFloats(tensor)
    const ends = { min: values.reduce((a, b) => Math.min(a, b), 0), max: values.reduce((a, b) => Math.max(a, b), 0) }
    const scale = scaleFor(ends, writer.settings, writer.settings.overrides?.[name])
    const dequantized = writer.fresh(`${name}_rounded`)
    const quantized = writer.store(`${name}_quantized`, tensor.dims, quantizeValues(values, scale))
    writer.add(makeNode('DequantizeLinear', [quantized, ...storeScale(writer, name, scale)], [dequantized]))
    node.input[at] = dequantized
  }
}
