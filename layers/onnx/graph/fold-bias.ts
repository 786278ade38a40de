import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto } from '../codec/schema.ts'
import { tensorFloats } from '../codec/tensor-values.ts'
import { makeNode, makeTensor } from './build.ts'
import { dropUnused, nameSource, replaceNode } from './edit.ts'
import { constantTensor, type GraphIndex, indexGraph, isPlain } from './index-graph.ts'
import { settleIrVersion } from './opsets.ts'
import { rankOf } from './value-types.ts'
import { mainGraph } from './walk.ts'

export interface FoldBiasOptions {
  /** Number of dimensions of a value by name, where a tapped run has told it; declared shapes are used without. */
  ranks?: ReadonlyMap<string, number>
}

/**
 * Makes one Gemm of MatMul and the Add of a stored bias after it, where the left side is known to have two dimensions and nothing else
 * reads the product: a bias that stays an Add of its own keeps quantized products from fusing. Products of three and more dimensions
 * stay, because Gemm has two. Exact but for the order of the additions. Changes the outermost graph; answers how many Adds went.
 */
export function foldBias(model: ModelProto, options: FoldBiasOptions = {}): number {
  const graph = mainGraph(model)
  const index = indexGraph(graph, { ir_version: model.ir_version })
  const fresh = nameSource(model)
  let folded = 0
  for (const add of [...graph.node]) {
    const found = productBefore(index, add)
    const rank = found && (options.ranks?.get(found.product.input[0] ?? '') ?? rankOf({ index }, found.product.input[0] ?? ''))
    if (!found || rank !== 2) continue
    const bias = makeTensor(fresh(`${add.output[0]}_bias`), [found.bias.length], found.bias)
    graph.initializer.push(bias)
    const input = [...found.product.input, bias.name ?? '']
    replaceNode(graph, found.product, [])
    replaceNode(graph, add, [makeNode('Gemm', input, add.output, { name: add.name || (add.output[0] ?? 'Gemm') })])
    folded++
  }
  if (folded > 0) {
    dropUnused(model)
    settleIrVersion(model)
  }
  return folded
}

/** The product an Add completes, with the bias as one number per column. */
function productBefore(index: GraphIndex, add: NodeProto): { product: NodeProto; bias: Float32Array } | undefined {
  if (!isPlain(add, 'Add') || add.input.length !== 2) return undefined
  const at = add.input.findIndex((name) => constantTensor(index, name) !== undefined)
  const between = add.input[1 - at] ?? ''
  const product = index.producers.get(between)
  const bias = constantTensor(index, add.input[at] ?? '')
  const weight = product && isPlain(product, 'MatMul') ? constantTensor(index, product.input[1] ?? '') : undefined
  const columns = weight?.dims.at(-1) ?? 0
  const alone = index.uses.get(between)?.length === 1 && !index.outputs.has(between)
  const floats = weight?.data_type === DataType.FLOAT && bias?.data_type === DataType.FLOAT
  if (!product || !bias || !alone || !floats || weight.dims.length !== 2 || bias.dims.length > 2) return undefined
  const values = tensorFloats(bias)
  const wide = bias.dims.every((size, axis) => size === 1 || (axis === bias.dims.length - 1 && size === columns))
  if (!wide) return undefined
  return { product, bias: values.length === 1 ? new Float32Array(columns).fill(values[0] ?? 0) : values }
}
