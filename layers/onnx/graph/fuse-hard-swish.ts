import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto } from '../codec/schema.ts'
import { elementCount, tensorFloats } from '../codec/tensor-values.ts'
import { floatAttribute } from './attributes.ts'
import { floatAttr, makeNode } from './build.ts'
import { dropUnused, nameSource } from './edit.ts'
import { constantTensor, type GraphIndex, indexGraph, isPlain, topologicalOrder } from './index-graph.ts'
import { mainGraph } from './walk.ts'

/** One stored number and the computed value it is combined with; undefined for anything else. */
function withNumber(index: GraphIndex, node: NodeProto): { value: string; number: number; at: number } | undefined {
  if (node.input.length !== 2) return undefined
  for (const at of [0, 1]) {
    const tensor = constantTensor(index, node.input[1 - at] ?? '')
    if (tensor?.data_type === DataType.FLOAT && elementCount(tensor.dims) === 1)
      return { value: node.input[at] ?? '', number: tensorFloats(tensor)[0]!, at }
  }
  return undefined
}

/** The ends of a Clip, whether they are attributes (before operator set 11) or inputs. */
function clipEnds(index: GraphIndex, node: NodeProto): [min: number, max: number] {
  const end = (at: number, name: string): number => {
    const tensor = constantTensor(index, node.input[at] ?? '')
    return tensor ? (tensorFloats(tensor)[0] ?? Number.NaN) : floatAttribute(node, name, Number.NaN)
  }
  return [end(1, 'min'), end(2, 'max')]
}

const soleReader = (index: GraphIndex, name: string): NodeProto | undefined => {
  const uses = index.uses.get(name) ?? []
  return uses.length === 1 && uses[0]!.input >= 0 && !index.outputs.has(name) ? uses[0]!.node : undefined
}

/**
 * HardSwish as exporters write it, x · Clip(x + 3, 0, 6) ÷ 6 in four passes over memory, becomes x · HardSigmoid(x) in two, which
 * onnxruntime's CPU kernels have (its HardSwish is those two). Same numbers but for rounding. Changes the outermost graph; answers how many.
 * Source: Howard et al., "Searching for MobileNetV3" (2019), §5.2.
 */
export function fuseHardSwish(model: ModelProto): number {
  const graph = mainGraph(model)
  const index = indexGraph(graph, { ir_version: model.ir_version })
  const fresh = nameSource(model)
  let fused = 0
  for (const node of [...graph.node]) {
    const last = endOf(index, node)
    if (!last) continue
    const gate = fresh(`${last.output}_gate`)
    const attributes = [floatAttr('alpha', 1 / 6), floatAttr('beta', 0.5)]
    // The old nodes lose their readers and go below.
    last.node.output = [fresh(`${last.output}_unused`)]
    graph.node.push(
      makeNode('HardSigmoid', [last.value], [gate], { attributes, name: gate }),
      makeNode('Mul', [last.value, gate], [last.output], { name: fresh(`${last.output}_swish`) }),
    )
    fused++
  }
  if (fused === 0) return 0
  graph.node = topologicalOrder(graph)
  dropUnused(model)
  return fused
}

/** From the Add of 3: the value it reads, and the node that yields its HardSwish. */
function endOf(index: GraphIndex, add: NodeProto): { value: string; node: NodeProto; output: string } | undefined {
  const start = isPlain(add, 'Add') ? withNumber(index, add) : undefined
  if (start?.number !== 3) return undefined
  const clip = soleReader(index, add.output[0] ?? '')
  if (!clip || !isPlain(clip, 'Clip')) return undefined
  const [min, max] = clipEnds(index, clip)
  const product = soleReader(index, clip.output[0] ?? '')
  if (min !== 0 || max !== 6 || !product || !isPlain(product, 'Mul') || !product.input.includes(start.value)) return undefined
  const last = soleReader(index, product.output[0] ?? '')
  const end = last && withNumber(index, last)
  const divides = last && end && isPlain(last, 'Div') && end.at === 0 && end.number === 6
  const multiplies = last && end && isPlain(last, 'Mul') && Math.abs(end.number * 6 - 1) < 1e-6
  return last && (divides || multiplies) ? { value: start.value, node: last, output: last.output[0] ?? '' } : undefined
}
