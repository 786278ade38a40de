import { rmSync } from 'node:fs'
import { InferenceSession } from 'onnxruntime-node'
import { dataTypeFacts } from '../codec/data-types.ts'
import { readModelFile } from '../codec/read-model.ts'
import type { GraphProto, TensorProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'
import { constantTensor, indexGraph, isPlain } from '../graph/index-graph.ts'
import { mainGraph, walkGraphs } from '../graph/walk.ts'

/** A stored weight that the runtime turns back into floats at every run, because its reader did not become an integer kernel. */
export interface Leftover {
  /** Names of the nodes that read the floats. */
  nodes: string[]
  weight: string
}

export interface FusionAudit {
  leftovers: Leftover[]
  /** Operators after fusion, by how often. */
  operators: Record<string, number>
}

/**
 * What onnxruntime makes of a model in QDQ form: loads it at level `extended` and reads the result back. A weight that is still
 * dequantized means float arithmetic plus the cost of dequantizing: up to 19 times slower than the original. Models that dequantize
 * on purpose (weight-only) fail it by design. `scratch_path` is written and removed. Runs no model.
 * @throws OnnxFault unsupported when onnxruntime does not load it
 */
export async function auditFusion(model: string | Uint8Array, scratch_path: string): Promise<FusionAudit> {
  const options: InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'extended',
    optimizedModelFilePath: scratch_path,
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  }
  try {
    const session = await (typeof model === 'string'
      ? InferenceSession.create(model, options)
      : InferenceSession.create(model, options))
    await session.release()
    const fused = readModelFile(scratch_path)
    const audit: FusionAudit = { leftovers: [], operators: {} }
    for (const { graph } of walkGraphs(mainGraph(fused))) collect(audit, graph, fused.ir_version)
    return audit
  } catch (error) {
    if (error instanceof OnnxFault) throw error
    throw new OnnxFault('unsupported', `onnxruntime does not load the candidate: ${String(error)}`, error)
  } finally {
    rmSync(scratch_path, { force: true })
  }
}

function collect(audit: FusionAudit, graph: GraphProto, ir_version: number | undefined): void {
  const index = indexGraph(graph, { ir_version })
  for (const node of graph.node) {
    const op_type = node.op_type ?? ''
    audit.operators[op_type] = (audit.operators[op_type] ?? 0) + 1
    if (!isPlain(node, 'DequantizeLinear') && !(op_type === 'DequantizeLinear' && node.domain === 'com.microsoft')) continue
    const weight = constantTensor(index, node.input[0] ?? '')
    if (!weight || !isWeight(weight)) continue
    const readers = (index.uses.get(node.output[0] ?? '') ?? []).map((use) => use.node.name || use.node.op_type || '')
    audit.leftovers.push({ nodes: readers, weight: weight.name || (node.input[0] ?? '') })
  }
}

/** Matrices and kernels of up to 8 bits; a bias or a scalar costs nothing to dequantize. */
const isWeight = (tensor: TensorProto): boolean =>
  tensor.dims.length > 1 && (dataTypeFacts(tensor.data_type ?? 0)?.bits ?? 32) <= 8

/** Rejects a candidate with leftovers. @throws OnnxFault unsupported, naming the nodes that would compute in floats */
export function assertFused({ leftovers }: FusionAudit): void {
  if (leftovers.length === 0) return
  const named = leftovers.slice(0, 10).map(({ nodes, weight }) => `${nodes.join(', ')} (${weight})`)
  const more = leftovers.length > named.length ? ` and ${leftovers.length - named.length} more` : ''
  throw new OnnxFault(
    'unsupported',
    `${leftovers.length} weights would be dequantized at every run, read by ${named.join('; ')}${more}`,
  )
}
