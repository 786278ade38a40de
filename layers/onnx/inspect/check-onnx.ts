import { dataTypeFacts, dataTypeName } from '../codec/data-types.ts'
import type { GraphProto, ModelProto, TensorProto } from '../codec/schema.ts'
import { isExternal, tensorBytes, tensorSize } from '../codec/tensor-values.ts'
import { OnnxFault } from '../fault.ts'
import { topologicalOrder } from '../graph/index-graph.ts'
import { plainDomain } from '../graph/opsets.ts'
import { mainGraph, subGraphs, walkNodes, walkTensors } from '../graph/walk.ts'

/** What ONNX Runtime 1.30 loads; it refuses IR 14 and opset 27 (tried). */
const NEWEST_IR = 13
const NEWEST_OPSET = 26
const knownDomains: ReadonlySet<string> = new Set(['', 'ai.onnx.ml', 'com.microsoft'])

/**
 * Everything that would make the runtime refuse the model, found without running it.
 * @throws OnnxFault not_a_model, unsupported, unknown_domain; naming the node or tensor
 */
export const checkModel = (model: ModelProto): void => {
  checkVersions(model)
  const graph = mainGraph(model)
  if (graph.node.length === 0) throw new OnnxFault('not_a_model', 'The graph has no nodes')
  checkDomains(model)
  for (const tensor of walkTensors(model)) checkTensor(tensor)
  checkGraph(graph, () => false)
}

const checkVersions = (model: ModelProto): void => {
  const ir_version = model.ir_version ?? 0
  if (ir_version < 1) throw new OnnxFault('not_a_model', `The file says IR version ${ir_version}, wanted 1 to ${NEWEST_IR}`)
  if (ir_version > NEWEST_IR)
    throw new OnnxFault('unsupported', `The file says IR version ${ir_version}; the runtime reads up to ${NEWEST_IR}`)
  for (const { domain, version = 0 } of model.opset_import) {
    if (plainDomain(domain) === '' && (version > NEWEST_OPSET || version < 1)) {
      throw new OnnxFault('unsupported', `The model needs opset ${version} of ONNX; the runtime implements 1 to ${NEWEST_OPSET}`)
    }
  }
}

const checkDomains = (model: ModelProto): void => {
  const own = new Set(model.functions.map((body) => `${plainDomain(body.domain)} ${body.name ?? ''}`))
  for (const node of walkNodes(model)) {
    const domain = plainDomain(node.domain)
    if (knownDomains.has(domain) || own.has(`${domain} ${node.op_type ?? ''}`)) continue
    throw new OnnxFault(
      'unknown_domain',
      `Node "${node.name ?? ''}" is ${node.op_type ?? ''} of "${domain}"; known are ai.onnx, ai.onnx.ml, com.microsoft and the model's own functions`,
    )
  }
}

/** Shape, type and bytes must agree; for weights left in the file only their number of bytes is looked at. */
const checkTensor = (tensor: TensorProto): void => {
  if (tensor.segment) throw new OnnxFault('unsupported', `Tensor "${tensor.name ?? ''}" is stored in segments`)
  const facts = dataTypeFacts(tensor.data_type ?? 0)
  const wanted_bytes = tensorSize(tensor)
  if (isExternal(tensor) || facts?.field === 'string_data') return
  const ranges = Object.entries(tensor.ranges ?? {})
  if (ranges.length === 0) {
    tensorBytes(tensor)
    return
  }
  for (const [field, range] of ranges) {
    // Packed varints take one to ten bytes each, so their length says nothing exact.
    const exact = field === 'raw_data' || field === 'float_data' || field === 'double_data'
    if (exact && range.size_bytes !== wanted_bytes) {
      const shape = `[${tensor.dims.slice(0, 8)}] of ${dataTypeName(tensor.data_type ?? 0)}`
      throw new OnnxFault(
        'not_a_model',
        `Tensor "${tensor.name ?? ''}" is ${shape}, which takes ${wanted_bytes} bytes, but it holds ${range.size_bytes}`,
      )
    }
  }
}

/** No cycles, no value made twice, nothing read that nobody makes; the same for every sub-graph. */
const checkGraph = (graph: GraphProto, around: (name: string) => boolean): void => {
  const made = new Set<string>()
  for (const value of graph.input) made.add(value.name ?? '')
  for (const tensor of graph.initializer) made.add(tensor.name ?? '')
  for (const sparse of graph.sparse_initializer) made.add(sparse.values?.name ?? '')
  for (const node of topologicalOrder(graph)) for (const name of node.output) made.add(name)
  // A function rather than a growing set: copying the outer names for each of many branches would be quadratic.
  const known = (name: string): boolean => made.has(name) || around(name)
  for (const node of graph.node) {
    const missing = node.input.find((name) => name !== '' && !known(name))
    if (missing !== undefined)
      throw new OnnxFault('not_a_model', `Node "${node.name ?? ''}" (${node.op_type}) reads "${missing}", which nothing makes`)
    for (const inner of subGraphs(node)) checkGraph(inner, known)
  }
  const lost = graph.output.find((output) => !known(output.name ?? ''))
  if (lost)
    throw new OnnxFault('not_a_model', `The output "${lost.name ?? ''}" of graph "${graph.name ?? ''}" is made by nothing`)
}
