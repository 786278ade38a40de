import { DataType } from '../codec/data-types.ts'
import type { ModelProto, OperatorSetIdProto } from '../codec/schema.ts'
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

/**
 * Drops imports of domains no node uses (ONNX Runtime's exports list eight of them) and those said twice, the first of which counts.
 * The default domain stays and is spelled '' wherever the file says `ai.onnx`.
 */
export const stripUnusedDomains = (model: ModelProto): void => {
  const used = new Set<string>([''])
  for (const node of walkNodes(model)) {
    used.add(plainDomain(node.domain))
    if (node.domain === 'ai.onnx') node.domain = ''
  }
  const kept = new Map<string, OperatorSetIdProto>()
  for (const opset of model.opset_import) {
    const domain = plainDomain(opset.domain)
    if (used.has(domain) && !kept.has(domain)) kept.set(domain, { ...opset, domain })
  }
  model.opset_import = [...kept.values()]
}

/** IR that introduced a data type. */
const typeNeeds = new Map<number, number>([
  [DataType.BFLOAT16, 4],
  [DataType.FLOAT8E4M3FN, 9],
  [DataType.FLOAT8E4M3FNUZ, 9],
  [DataType.FLOAT8E5M2, 9],
  [DataType.FLOAT8E5M2FNUZ, 9],
  [DataType.UINT4, 10],
  [DataType.INT4, 10],
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
  for (const type of dataTypesOf(model)) wanted = Math.max(wanted, typeNeeds.get(type) ?? 0)
  if (source < 4) {
    const names = new Set(graph.initializer.map((tensor) => tensor.name ?? ''))
    if (graph.initializer.length > 0) wanted = Math.max(wanted, 4)
    graph.input = graph.input.filter((input) => !names.has(input.name ?? ''))
  }
  if (model.functions.length > 0) wanted = Math.max(wanted, 8)
  model.ir_version = wanted
}

/** Element types of what the model stores, and of the inputs, outputs and values it declares. */
const dataTypesOf = (model: ModelProto): Set<number> => {
  const types = new Set<number>()
  for (const tensor of walkTensors(model)) types.add(tensor.data_type ?? 0)
  for (const { graph } of walkGraphs(mainGraph(model))) {
    for (const list of [graph.input, graph.output, graph.value_info])
      for (const value of list) types.add(value.type?.tensor_type?.elem_type ?? 0)
  }
  return types
}

/** Whether any stored or declared value of the model has one of these types. */
export const usesDataType = (model: ModelProto, ...types: number[]): boolean => {
  const used = dataTypesOf(model)
  return types.some((type) => used.has(type))
}
