import { statSync } from 'node:fs'
import { DataType } from '../codec/data-types.ts'
import { readModelFile } from '../codec/read-model.ts'
import type { GraphProto, ModelProto } from '../codec/schema.ts'
import { elementCount, tensorSize } from '../codec/tensor-values.ts'
import { OnnxFault } from '../fault.ts'
import { attributeOf } from '../graph/attributes.ts'
import { isPlain } from '../graph/index-graph.ts'
import { plainDomain } from '../graph/opsets.ts'
import { mainGraph, walkGraphs, walkNodes } from '../graph/walk.ts'
import { checkModel } from './check-onnx.ts'
import { externalLocations } from './external-data.ts'
import { estimateFlops } from './flops.ts'
import type { FileInspection } from './inspection.ts'
import { storedWeights } from './stored-weights.ts'
import { isBatchable, valueSpecs } from './value-specs.ts'

/**
 * Reads an ONNX file in constant memory (weights stay in the file) and tells what it holds.
 * @throws OnnxFault empty, not_a_model, truncated, unsupported, unsafe, unknown_domain, external_data_missing
 */
export const inspectOnnx = (path: string): FileInspection => {
  const model = readModelFile(path)
  const graph = mainGraph(model)
  const external = externalLocations(model)
  checkModel(model)
  if (external.length > 0) {
    const names = external.slice(0, 10).map((location) => JSON.stringify(location))
    throw new OnnxFault(
      'external_data_missing',
      `The model keeps weights in ${names.join(', ')}; upload one file that holds them (save with external data off)`,
    )
  }
  const { inputs, outputs, notes } = valueSpecs(graph)
  const flops = estimateFlops(model)
  const parameters = countParameters(model)
  return {
    format: 'onnx',
    ir_version: model.ir_version ?? 0,
    producer: [model.producer_name, model.producer_version].filter(Boolean).join(' '),
    opsets: Object.fromEntries(model.opset_import.map((opset) => [plainDomain(opset.domain) || 'ai.onnx', opset.version ?? 0])),
    inputs,
    outputs,
    ...parameters,
    operators: histogram(model),
    flops: flops.flops,
    weights: storedWeights(model),
    graph_bytes: Math.max(0, statSync(path).size - parameters.parameter_bytes),
    external_data: external,
    batchable: isBatchable(model, inputs, outputs),
    notes: [...notes, ...flops.notes, ...remarks(model, graph)],
  }
}

/** Shapes, axes and flags are stored as tensors too, but nobody trained them. */
const notTrained: ReadonlySet<number> = new Set([DataType.INT64, DataType.BOOL, DataType.STRING])

/** Elements and bytes of initializers and constants, sub-graphs included. */
const countParameters = (model: ModelProto): { parameter_count: number; parameter_bytes: number } => {
  let parameter_count = 0
  let parameter_bytes = 0
  for (const { graph } of walkGraphs(mainGraph(model))) {
    const constants = graph.node.flatMap((node) => (isPlain(node, 'Constant') ? (attributeOf(node, 'value')?.t ?? []) : []))
    const sparse = graph.sparse_initializer.flatMap(({ values }) => values ?? [])
    for (const tensor of [...graph.initializer, ...constants, ...sparse]) {
      if (notTrained.has(tensor.data_type ?? 0)) continue
      parameter_count += elementCount(tensor.dims)
      parameter_bytes += tensorSize(tensor)
    }
  }
  return { parameter_count, parameter_bytes }
}

const histogram = (model: ModelProto): Record<string, number> => {
  const counts = new Map<string, number>()
  for (const node of walkNodes(model)) {
    const domain = plainDomain(node.domain)
    const name = domain === '' ? (node.op_type ?? '') : `${domain}.${node.op_type ?? ''}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const remarks = (model: ModelProto, graph: GraphProto): string[] => {
  const notes: string[] = []
  const seen = new Set<string>()
  const repeated = graph.initializer.find((tensor) => seen.size === seen.add(tensor.name ?? '').size)?.name
  if (repeated !== undefined) notes.push(`Several stored tensors are called "${repeated}"; the runtime takes the last`)
  if (model.functions.length > 0) notes.push(`${model.functions.length} functions of the model's own`)
  if (model.training_info.length > 0) notes.push('Holds training information, which serving ignores')
  return notes
}
