import type { GraphProto, NodeProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'
import { topologicalOrder } from '../graph/index-graph.ts'
import { plainDomain } from '../graph/opsets.ts'
import { usedNames } from '../graph/walk.ts'
import { flat } from './differentiable.ts'
import { activationRules } from './gradient-activations.ts'
import { arithmeticRules } from './gradient-arithmetic.ts'
import { convolutionRules } from './gradient-convolution.ts'
import { instanceRules } from './gradient-instances.ts'
import { layoutRules } from './gradient-layouts.ts'
import { normalizationRules } from './gradient-normalization.ts'
import { poolRules } from './gradient-pools.ts'
import { productRules } from './gradient-products.ts'
import { reductionRules } from './gradient-reductions.ts'
import { resizeRules } from './gradient-resize.ts'
import { shapeRules } from './gradient-shapes.ts'
import { straightThroughRules } from './gradient-straight-through.ts'
import { unitRules } from './gradient-units.ts'
import { type GradientRule, startTape, type Tape } from './tape.ts'
import type { ValueFacts } from './values.ts'

/** Operator of the default domain → its reverse-mode rule. */
export const gradientRules: Readonly<Record<string, GradientRule>> = {
  ...arithmeticRules,
  ...activationRules,
  ...unitRules,
  ...productRules,
  ...convolutionRules,
  ...normalizationRules,
  ...instanceRules,
  ...reductionRules,
  ...shapeRules,
  ...layoutRules,
  ...poolRules,
  ...resizeRules,
  ...straightThroughRules,
}

/** Nothing flows back through these. */
const motionless: ReadonlySet<string> = new Set(flat)

const described = (node: NodeProto): string => `Node "${node.name ?? ''}" (${node.op_type})`

/** Names of the values that move when a parameter moves. */
const movingValues = (order: readonly NodeProto[], parameters: readonly string[]): Set<string> => {
  const moving = new Set(parameters)
  for (const node of order) {
    if (plainDomain(node.domain) === '' && motionless.has(node.op_type ?? '')) continue
    if (usedNames(node).some((name) => moving.has(name))) for (const name of node.output) if (name !== '') moving.add(name)
  }
  return moving
}

/**
 * Reverse-mode differentiation from source to source: adds the nodes that compute the derivative of `loss` (one element) with
 * respect to each of `parameters` (names of inputs or initializers) to `graph` and answers parameter → name of its gradient,
 * which has the parameter's shape. Parameters that do not reach the loss are absent. `values` gives the shape of every value the
 * loss depends on; shapes are therefore fixed, and the backward part holds no shape arithmetic. Opset 16 or later.
 *
 * The graph's own nodes stay, except that MaxPool and LayerNormalization may get further outputs.
 *
 * @throws OnnxFault unsupported, naming the node: an operator without rule (sub-graphs and other domains included), or an
 *   attribute its rule does not cover
 * Source: Griewank and Walther, Evaluating Derivatives (2008), §3.2 (adjoint accumulation).
 */
export const gradient = (
  graph: GraphProto,
  loss: string,
  parameters: readonly string[],
  values: ReadonlyMap<string, ValueFacts>,
): Map<string, string> => {
  const order = topologicalOrder(graph)
  const moving = movingValues(order, parameters)
  const tape = startTape(graph, values, (name) => moving.has(name))
  const partials = new Map<string, string[]>()
  partials.set(loss, [tape.floats(new Float32Array(1).fill(1), [...tape.shape(loss)])])
  const collect = (name: string): string | undefined => {
    const parts = partials.get(name)
    if (!parts || parts.length === 1) return parts?.[0]
    const sum = tape.emit('Sum', parts)
    partials.set(name, [sum])
    return sum
  }
  for (const node of order.reverse()) {
    if (!node.output.some((name) => moving.has(name))) continue
    const upstream = node.output.map((name) => (moving.has(name) ? collect(name) : undefined))
    if (upstream.every((name) => name === undefined)) continue
    const inputs = ruleOf(node)(node, upstream, tape)
    node.input.forEach((name, at) => {
      const part = inputs[at]
      if (part === undefined || !moving.has(name)) return
      const parts = partials.get(name)
      if (parts) parts.push(part)
      else partials.set(name, [part])
    })
  }
  const found = parameters.flatMap((name): [string, string][] => {
    const name_of_gradient = collect(name)
    return name_of_gradient === undefined ? [] : [[name, name_of_gradient]]
  })
  appendTape(graph, tape)
  return new Map(found)
}

const ruleOf = (node: NodeProto): GradientRule => {
  const op_type = node.op_type ?? ''
  const rule = plainDomain(node.domain) === '' && Object.hasOwn(gradientRules, op_type) ? gradientRules[op_type] : undefined
  if (rule) return rule
  const domain = plainDomain(node.domain)
  throw new OnnxFault('unsupported', `${described(node)}${domain ? ` of domain ${domain}` : ''} has no gradient rule`)
}

const appendTape = (graph: GraphProto, tape: Tape): void => {
  graph.node.push(...tape.nodes)
  graph.initializer.push(...tape.initializers)
}
