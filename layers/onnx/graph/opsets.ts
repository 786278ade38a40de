import { DataType } from '../codec/data-types.ts'
import type { ModelProto } from '../codec/schema.ts'
import { mainGraph, walkGraphs, walkNodes, walkTensors } from './walk.ts'

/** The default domain has two spellings. */
export const plainDomain = (domain: string | undefined): string => (domain === undefined || domain === 'ai.onnx' ? '' : domain)

/** Version of an operator set the model imports; undefined when it does not. */
export const opsetOf = (model: ModelProto, domain = ''): number | undefined =>
  model.opset_import.find((opset) => plainDomain(opset.domain) === domain)?.version

/** Imports an operator set at this version, replacing an earlier import of the domain. */
export const setOpset = (model: ModelProto, domain: string, version: number): void => {
  model.opset_import = model.opset_import.filter((opset) => plainDomain(opset.domain) !== domain)
  model.opset_import.push({ domain, version })
}

/** Drops imports of domains no node uses (ONNX Runtime's exports list eight of them). The default domain stays. */
export const stripUnusedDomains = (model: ModelProto): void => {
  const used = new Set<string>([''])
  for (const node of walkNodes(model)) used.add(plainDomain(node.domain))
  model.opset_import = model.opset_import.filter((opset) => used.has(plainDomain(opset.domain)))
}

/** IR that introduced a data type, where that is later than what any runtime in use reads. */
const typeNeeds = new Map<number, number>([
  [DataType.FLOAT4E2M1, 11],
  [DataType.FLOAT8E8M0, 12],
  [DataType.UINT2, 13],
  [DataType.INT2, 13],
])

/**
 * Sets `ir_version` to `min(source, 10)`, unless what the model holds needs a later one, so that older runtimes read it too.
 * Initializers that are no inputs need IR 4; a model older than that loses the input entries that only named initializers,
 * because from IR 4 on they would let callers replace the weights.
 */
export const settleIrVersion = (model: ModelProto): void => {
  const source = model.ir_version ?? 3
  const graph = mainGraph(model)
  let wanted = Math.min(Math.max(source, 3), 10)
  for (const tensor of walkTensors(model)) wanted = Math.max(wanted, typeNeeds.get(tensor.data_type ?? 0) ?? 0)
  if (source < 4) {
    const names = new Set(graph.initializer.map((tensor) => tensor.name ?? ''))
    if (graph.initializer.length > 0) wanted = Math.max(wanted, 4)
    graph.input = graph.input.filter((input) => !names.has(input.name ?? ''))
  }
  if (model.functions.length > 0) wanted = Math.max(wanted, 8)
  model.ir_version = wanted
}

/** Stored tensors of all graphs, for questions about the whole model. */
export const usesDataType = (model: ModelProto, ...types: number[]): boolean => {
  for (const tensor of walkTensors(model)) if (types.includes(tensor.data_type ?? 0)) return true
  for (const { graph } of walkGraphs(mainGraph(model))) {
    for (const value of [...graph.input, ...graph.output, ...graph.value_info]) {
      if (types.includes(value.type?.tensor_type?.elem_type ?? 0)) return true
    }
  }
  return false
}
