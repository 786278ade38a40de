import { DataType } from '../../codec/data-types.ts'
import type { ModelProto, NodeProto } from '../../codec/schema.ts'
import { tensorFloats } from '../../codec/tensor-values.ts'
import { constantTensor, type GraphIndex, indexGraph, isPlain, topologicalOrder } from '../../graph/index-graph.ts'
import { mainGraph } from '../../graph/walk.ts'
import { choosesNode } from '../node-choice.ts'
import { allFinite } from '../weights.ts'
import { absorbing } from './absorb.ts'
import { type Scale, scaleFor } from './scales.ts'
import type { Ranges, StaticSettings } from './settings.ts'
import { type Product, productOf } from './units.ts'

/** An operator that computes on the 8-bit numbers of its inputs, or only moves them about. */
export interface Follow {
  kind: 'follow'
  node: NodeProto
  /** Positions of inputs that are stored floats. */
  constants: number[]
  /** The result has the scale of the first input: nothing is computed. */
  same_scale: boolean
  /** Its kernel can yield floats from 8-bit inputs, so it is worth it whoever reads the result. */
  yields_floats: boolean
}

export interface PlannedUnit {
  unit: Product | Follow
  /** Computed values it reads as 8-bit numbers. */
  reads: string[]
  /** What it yields: behind the activation, where one is absorbed. */
  output: string
  /** ReLU or Clip whose work the rounding of the output does. */
  absorbed?: NodeProto
  /** Its kernel yields 8-bit numbers only (Conv), or one it reads does. */
  solid: boolean
  quantizes_output: boolean
}

export interface Plan {
  units: PlannedUnit[]
  scales: Map<string, Scale>
  left: Record<string, number>
}

const MOVING = ['MaxPool', 'Reshape', 'Transpose', 'Flatten', 'Squeeze', 'Unsqueeze', 'Slice', 'DepthToSpace']
const COMPUTING = ['Add', 'AveragePool', 'GlobalAveragePool', 'Concat', 'LeakyRelu', 'Mul', 'Sigmoid']
const SEVERAL_INPUTS = ['Add', 'Mul', 'Concat']

/**
 * Operators quantized unless told otherwise: those that onnxruntime's CPU kernels fuse. Mul and Sigmoid (squeeze-and-excite, HardSwish)
 * are left out: they fuse one by one, but cost more than they save.
 */
export const STATIC_OP_TYPES: readonly string[] = [
  ...['Conv', 'Gemm', 'MatMul', 'Add', 'Concat', 'AveragePool', 'GlobalAveragePool', 'LeakyRelu', 'Relu', 'Clip', 'Max', 'Min'],
  ...MOVING,
]

interface Planner {
  absorber: Parameters<typeof absorbing>[0]
  index: GraphIndex
  settings: StaticSettings
  ranges: Ranges
  chooses(node: NodeProto): boolean
  /** Values that planned units yield → whether they exist as 8-bit numbers in any case. */
  available: Map<string, boolean>
  taken: Set<NodeProto>
}

/** The scale a value gets from its own range. */
const ownScale = ({ settings, ranges }: Pick<Planner, 'settings' | 'ranges'>, name: string): Scale =>
  scaleFor(ranges.get(name) ?? { min: 0, max: 0 }, settings, settings.overrides?.[name])

/**
 * What is quantized and by which scale. Products with stored weights always; what follows them where 8-bit numbers are there
 * anyway (behind convolutions) or wanted further on. All else stays float: a rounding more would only cost accuracy.
 */
export function planStatic(model: ModelProto, ranges: Ranges, settings: StaticSettings): Plan {
  const graph = mainGraph(model)
  const index = indexGraph(graph, { ir_version: model.ir_version })
  const chooses = choosesNode(settings, STATIC_OP_TYPES)
  const scale = (name: string): Scale | undefined => (ranges.has(name) ? ownScale({ settings, ranges }, name) : undefined)
  const absorber = { index, chooses, scale }
  const planner: Planner = { absorber, index, settings, ranges, chooses, available: new Map(), taken: new Set() }
  const left: Record<string, number> = {}
  const candidates: PlannedUnit[] = []
  for (const node of topologicalOrder(graph)) {
    if (planner.taken.has(node)) continue
    const planned = planNode(planner, node)
    if (typeof planned === 'string') left[planned] = (left[planned] ?? 0) + 1
    if (planned === undefined || typeof planned === 'string') continue
    candidates.push(planned)
    planner.available.set(planned.output, planned.solid)
    for (const part of [planned.absorbed, planned.unit.kind === 'product' ? planned.unit.bias_node : undefined])
      if (part) planner.taken.add(part)
  }
  const units = keepDemanded(candidates)
  return { units, scales: scalesOf(planner, units), left }
}

function planNode(planner: Planner, node: NodeProto): PlannedUnit | string | undefined {
  const { index, settings, ranges } = planner
  const product = productOf(index, node, settings.min_elements ?? 1)
  if (product !== undefined && !planner.chooses(node)) return 'left alone by the settings'
  if (product === 'weight is computed' && settings.matmul_const_b_only === false && isPlain(node, 'MatMul'))
    return planFollow(planner, { kind: 'follow', node, constants: [], same_scale: false, yields_floats: true }, [...node.input])
  if (typeof product === 'string') return product
  if (!product) return planner.chooses(node) ? planMoving(planner, node) : undefined
  const input = node.input[0] ?? ''
  const yields = (product.bias_node ?? node).output[0] ?? ''
  if (!ranges.has(input) || !ranges.has(yields)) return 'no range was observed'
  const solid = isPlain(node, 'Conv')
  return { unit: product, reads: [input], solid, quantizes_output: solid, ...absorbing(planner.absorber, yields) }
}

function planMoving(planner: Planner, node: NodeProto): PlannedUnit | undefined {
  const op_type = node.op_type ?? ''
  const same_scale = MOVING.includes(op_type)
  if (!same_scale && !COMPUTING.includes(op_type)) return undefined
  if (node.output.length > 1) return undefined
  const inputs = SEVERAL_INPUTS.includes(op_type) ? [...node.input] : node.input.slice(0, 1)
  const constants = inputs.flatMap((name, at) => (constantTensor(planner.index, name) ? [at] : []))
  for (const at of constants) {
    const tensor = constantTensor(planner.index, inputs[at] ?? '')
    if (tensor?.data_type !== DataType.FLOAT || !allFinite(tensorFloats(tensor))) return undefined
  }
  const reads = inputs.filter((_, at) => !constants.includes(at))
  const available = reads.length > 0 && reads.every((name) => planner.available.has(name))
  return available ? planFollow(planner, { kind: 'follow', node, constants, same_scale, yields_floats: false }, reads) : undefined
}

function planFollow(planner: Planner, unit: Follow, reads: string[]): PlannedUnit | undefined {
  const output = unit.node.output[0] ?? ''
  if (![...reads, output].every((name) => planner.ranges.has(name))) return undefined
  const solid = !unit.yields_floats && reads.some((name) => planner.available.get(name) === true)
  const absorbs = unit.same_scale ? { output } : absorbing(planner.absorber, output)
  return { unit, reads, solid, quantizes_output: solid, ...absorbs }
}

/** From the end to the front: what follows stays when 8-bit numbers are there anyway, or somebody wants its result as such. */
function keepDemanded(candidates: readonly PlannedUnit[]): PlannedUnit[] {
  const demanded = new Set<string>()
  const kept: PlannedUnit[] = []
  for (const planned of candidates.toReversed()) {
    const quantizes_output = planned.solid || demanded.has(planned.output)
    if (planned.unit.kind === 'follow' && !planned.unit.yields_floats && !quantizes_output) continue
    for (const name of planned.reads) demanded.add(name)
    kept.push({ ...planned, quantizes_output })
  }
  return kept.reverse()
}

function scalesOf(planner: Planner, units: readonly PlannedUnit[]): Map<string, Scale> {
  const scales = new Map<string, Scale>()
  for (const { unit, reads, output, quantizes_output } of units) {
    for (const name of reads) if (!scales.has(name)) scales.set(name, ownScale(planner, name))
    if (!quantizes_output) continue
    const shared = unit.kind === 'follow' && unit.same_scale ? scales.get(reads[0] ?? '') : undefined
    scales.set(output, shared ?? ownScale(planner, output))
  }
  return scales
}
