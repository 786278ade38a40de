import type { NodeProto } from '../codec/schema.ts'
import { makeNode } from '../graph/build.ts'

/**
 * How weights follow their gradient. `weight_decay` is decoupled from it (Loshchilov and Hutter, arXiv 1711.05101).
 * `clip_norm` scales the whole gradient down to that length when it is longer.
 */
export type OptimizerSpec = (
  | { kind: 'adam'; beta_1?: number; beta_2?: number; epsilon?: number }
  | { kind: 'sgd'; momentum?: number }
) & { weight_decay?: number; clip_norm?: number }

/** All weights are one vector, and so are the moments: ten passes over it cost less than ten nodes per weight. */
export const WEIGHTS = 'train/weights'
const FIRST = 'train/moment_1'
const SECOND = 'train/moment_2'
const RATE = 'train/rate'
const EPSILON = 'train/epsilon'
const KEPT = 'train/kept'

export const nextName = (state: string): string => `${state}/next`

export interface OptimizerParts {
  nodes: NodeProto[]
  /** Vectors of the weights' length that go in and come out as `nextName`; all but the weights start at 0. */
  state: string[]
  /** Scalar inputs at a step counted from 1. */
  scalars(step: number, rate: number): Record<string, number>
  /** Scalars by name, which the graph stores. */
  constants: Record<string, number>
}

const numbered = (): ((op: string, ...inputs: string[]) => NodeProto) => {
  let count = 0
  return (op, ...inputs) => makeNode(op, inputs, [`train/update/${count++}`])
}

const outputOf = (node: NodeProto): string => node.output[0]!

/** Nodes from the flat `gradient` to the next state. */
export const optimizerParts = (spec: OptimizerSpec, gradient: string): OptimizerParts => {
  const make = numbered()
  const nodes: NodeProto[] = []
  const add = (op: string, ...inputs: string[]): string => {
    const node = make(op, ...inputs)
    nodes.push(node)
    return outputOf(node)
  }
  const constants: Record<string, number> = {}
  const constant = (name: string, value: number): string => {
    constants[`train/${name}`] = value
    return `train/${name}`
  }
  const clipped =
    spec.clip_norm === undefined ? gradient : clippedGradient(add, gradient, constant('clip_norm', spec.clip_norm), constant)
  const weights = spec.weight_decay ? add('Mul', WEIGHTS, KEPT) : WEIGHTS
  const update = spec.kind === 'adam' ? adam(spec, add, nodes, clipped, constant) : momentum(spec, add, nodes, clipped, constant)
  nodes.push(makeNode('Sub', [weights, update.change], [nextName(WEIGHTS)]))
  const decay = spec.weight_decay ?? 0
  return {
    nodes,
    state: [WEIGHTS, ...update.state],
    constants,
    scalars: (step, rate) => ({ ...update.scalars(step, rate), ...(decay ? { [KEPT]: 1 - rate * decay } : {}) }),
  }
}

type Add = (op: string, ...inputs: string[]) => string
type Constant = (name: string, value: number) => string
interface Update {
  change: string
  state: string[]
  scalars(step: number, rate: number): Record<string, number>
}

/** g · min(1, limit ÷ |g|). Source: Pascanu, Mikolov and Bengio, arXiv 1211.5063. */
const clippedGradient = (add: Add, gradient: string, limit: string, constant: Constant): string => {
  const length = add('Sqrt', add('ReduceSumSquare', gradient))
  return add('Mul', gradient, add('Min', add('Div', limit, add('Max', length, constant('tiny', 1e-12))), constant('one', 1)))
}

/**
 * Adam with both moments kept divided by (1 − β), which saves two passes: M ← β₁M + g, V ← β₂V + g², and the bias corrections move
 * into two scalars: w ← w − rate′·M ÷ (√V + ε′). Equal to the published form. Source: Kingma and Ba, arXiv 1412.6980, §2.
 */
const adam = (
  { beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-8 }: { beta_1?: number; beta_2?: number; epsilon?: number },
  add: Add,
  nodes: NodeProto[],
  gradient: string,
  constant: Constant,
): Update => {
  const first = nextName(FIRST)
  const second = nextName(SECOND)
  nodes.push(makeNode('Add', [add('Mul', FIRST, constant('beta_1', beta_1)), gradient], [first]))
  nodes.push(makeNode('Add', [add('Mul', SECOND, constant('beta_2', beta_2)), add('Mul', gradient, gradient)], [second]))
  const ratio = add('Div', first, add('Add', add('Sqrt', second), EPSILON))
  return {
    change: add('Mul', ratio, RATE),
    state: [FIRST, SECOND],
    scalars(step, rate) {
      const spread = Math.sqrt((1 - beta_2) / (1 - beta_2 ** step))
      return { [RATE]: (rate * (1 - beta_1)) / ((1 - beta_1 ** step) * spread), [EPSILON]: epsilon / spread }
    },
  }
}

/** v ← µv + g, w ← w − rate·v. Source: Sutskever et al., On the importance of initialization and momentum (2013), in PyTorch's form. */
const momentum = (
  { momentum: share = 0.9 }: { momentum?: number },
  add: Add,
  nodes: NodeProto[],
  gradient: string,
  constant: Constant,
): Update => {
  const scalars = (_step: number, rate: number): Record<string, number> => ({ [RATE]: rate })
  if (share === 0) return { change: add('Mul', gradient, RATE), state: [], scalars }
  const velocity = nextName(FIRST)
  nodes.push(makeNode('Add', [add('Mul', FIRST, constant('momentum', share)), gradient], [velocity]))
  return { change: add('Mul', velocity, RATE), state: [FIRST], scalars }
}
