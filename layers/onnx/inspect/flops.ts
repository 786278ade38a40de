import type { ModelProto, NodeProto } from '../codec/schema.ts'
import { intAttribute } from '../graph/attributes.ts'
import { plainDomain } from '../graph/opsets.ts'
import { mainGraph, subGraphs } from '../graph/walk.ts'
import { inferShapes, type ValueFacts } from './infer-shapes.ts'
import { product } from './shape-arithmetic.ts'

/** Multiply-adds of one node from the shapes of its inputs and its first output; undefined when one it needs is unknown. */
type Work = (node: NodeProto, inputs: (number[] | undefined)[], output: number[] | undefined) => number | undefined

const matMul =
  (left: number): Work =>
  (_node, inputs, output) =>
    output && inputs[left] && product(output) * (inputs[left].at(-1) ?? 0)

const gemm: Work = (node, [a], output) => output && a && product(output) * (a[intAttribute(node, 'transA', 0) ? 0 : 1] ?? 0)

/** Each output element needs one multiply-add per weight of its filter: input channels of its group × kernel. */
const conv =
  (weight: number): Work =>
  (_node, inputs, output) =>
    output && inputs[weight] && product(output) * product(inputs[weight].slice(1))

/** Each input element is multiplied with every weight of its channel. */
const convTranspose: Work = (_node, [x, w]) => x && w && product(x) * product(w.slice(1))

/** Per step, batch row and direction: all input and recurrent weights once. */
const recurrent: Work = (_node, [x, w, r]) => x && w && r && (x[0] ?? 0) * (x[1] ?? 0) * (product(w) + product(r))

/** The operators that cost; next to them elementwise work does not count. */
const works: Readonly<Record<string, Work>> = {
  Conv: conv(1),
  ConvInteger: conv(1),
  ConvTranspose: convTranspose,
  GRU: recurrent,
  Gemm: gemm,
  LSTM: recurrent,
  MatMul: matMul(0),
  MatMulInteger: matMul(0),
  QLinearConv: conv(3),
  QLinearMatMul: matMul(0),
  RNN: recurrent,
}

/** Operators that hide heavy work this estimate does not look into. */
const opaque: ReadonlySet<string> = new Set(['Attention', 'DeformConv', 'Einsum', 'Loop', 'Scan'])

/**
 * Multiply-adds × 2 of one run with free dimensions at 1, over matrix products, convolutions and recurrent layers. Null with a note
 * when a shape they need cannot be told, or when the work depends on data (loops, branches).
 */
export const estimateFlops = (
  model: ModelProto,
  free?: (input: string, axis: number) => number,
): { flops: number | null; notes: string[] } => {
  const facts = inferShapes(model, free)
  let total = 0
  for (const node of mainGraph(model).node) {
    const work = workOf(node, facts)
    if (typeof work === 'string') return { flops: null, notes: [`No estimate of the operations: ${work}`] }
    total += work
  }
  return { flops: Number.isSafeInteger(2 * total) ? 2 * total : null, notes: [] }
}

const workOf = (node: NodeProto, facts: Map<string, ValueFacts>): number | string => {
  const label = `node "${node.name ?? ''}" (${node.op_type})`
  if (subGraphs(node).some((graph) => graph.node.some((inner) => isHeavy(inner))))
    return `${label} branches or loops over heavy operators`
  const plain = plainDomain(node.domain) === ''
  if (plain && opaque.has(node.op_type ?? '')) return `${label} is not looked into`
  if (!plain && plainDomain(node.domain) === 'com.microsoft') return `${label} is of com.microsoft`
  const work = plain && Object.hasOwn(works, node.op_type ?? '') ? works[node.op_type ?? ''] : undefined
  if (!work) return 0
  const shapes = node.input.map((name) => facts.get(name)?.shape)
  return (
    work(node, shapes, facts.get(node.output[0] ?? '')?.shape) ?? `shapes at ${label} are not known with free dimensions at 1`
  )
}

const isHeavy = (node: NodeProto): boolean =>
  Object.hasOwn(works, node.op_type ?? '') ||
  opaque.has(node.op_type ?? '') ||
  subGraphs(node).some((graph) => graph.node.some(isHeavy))
