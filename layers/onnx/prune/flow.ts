import type { NodeProto, TensorProto } from '../codec/schema.ts'
import { constantTensor, type GraphIndex } from '../graph/index-graph.ts'
import { type Axes, type LabelSets, type Labels, labelSets } from './labels.ts'

/** A node that sums over channels with a stored weight: where a channel's life ends, and what is re-fitted when some go. */
export interface Consumer {
  node: NodeProto
  /** Which input is the stored weight, and which of its axes the channels lie on. */
  weight: string
  weight_axis: number
  /** Which input brings the channels, and on which axis. */
  input: string
  input_axis: number
  labels: Labels
}

/** Something other than a weight that says how many channels there are, to be rewritten when some go. */
export type Edit =
  /** `group` of a convolution; `per_group` positions of `labels` belong to one group. */
  | { kind: 'group'; node: NodeProto; labels: Labels; per_group: number }
  /** A stored list of sizes (input `input` of the node), by axis. */
  | { kind: 'shape'; node: NodeProto; input: number; axes: Axes }
  /** The sizes of a Split. */
  | { kind: 'split'; node: NodeProto; parts: Labels[] }

/** What the rules of operators read and write while channels are followed through a graph. */
export interface Flow {
  opset: number
  index: GraphIndex
  labels: LabelSets
  consumers: Consumer[]
  edits: Edit[]
  /** Shape of a value as it was seen in one run, or of a stored tensor; undefined when it is no tensor. */
  dims(name: string): readonly number[] | undefined
  stored(name: string): TensorProto | undefined
  /** Labels of a computed value; stored ones and inputs of the graph have none. */
  axes(name: string): Axes
  set(name: string, axes: Axes): void
  /** Gives an axis of a stored tensor these labels, or joins them with what it has. Answers what it then has. */
  bind(name: string, axis: number, labels: Labels | null, why: string): Labels | null
  /** Labels of the axis of a stored weight that makes new channels: fresh ones at first reading. */
  born(name: string, axis: number, value: string): Labels | null
  /** Joins two axes position by position; where one must not change, neither must the other. */
  unify(a: Labels | null, b: Labels | null, why: string): Labels | null
  /** Keeps whatever channels these values have. */
  fix(names: readonly string[], why: string): void
  /** Axes of stored tensors, as bound; an axis nobody read is undefined. */
  bound: ReadonlyMap<string, (Labels | null | undefined)[]>
}

const describe = (node: NodeProto): string => `${node.op_type} "${node.name || node.output[0] || ''}"`
/** Why channels stay, in words that name the node. */
export const because = (node: NodeProto, what: string): string => `${what} ${describe(node)}`

export function startFlow(
  index: GraphIndex,
  opset: number,
  shapes: ReadonlyMap<string, readonly number[]>,
): Flow & { bound: Map<string, (Labels | null | undefined)[]> } {
  const labels = labelSets()
  const computed = new Map<string, Axes>()
  const bound = new Map<string, (Labels | null | undefined)[]>()
  const stored = (name: string) => (name === '' ? undefined : constantTensor(index, name))
  const unify: Flow['unify'] = (a, b, why) => {
    if (a && b && a.length === b.length) {
      for (let at = 0; at < a.length; at++) labels.union(a[at]!, b[at]!)
      return a
    }
    if (a) labels.fix(a, why)
    if (b) labels.fix(b, why)
    return a ?? b
  }
  const bindingOf = (name: string): (Labels | null | undefined)[] => {
    const known = bound.get(name) ?? []
    bound.set(name, known)
    return known
  }
  return {
    opset,
    index,
    labels,
    consumers: [],
    edits: [],
    bound,
    dims: (name) => shapes.get(name) ?? stored(name)?.dims,
    stored,
    axes: (name) => computed.get(name) ?? (shapes.get(name) ?? stored(name)?.dims ?? []).map(() => null),
    set: (name, axes) => void (name !== '' && computed.set(name, axes)),
    bind(name, axis, wanted, why) {
      const binding = bindingOf(name)
      const known = binding[axis]
      binding[axis] = known === undefined ? wanted : unify(known, wanted, why)
      return binding[axis] ?? null
    },
    born(name, axis, value) {
      const binding = bindingOf(name)
      const size = stored(name)?.dims[axis] ?? 1
      if (binding[axis] === undefined) binding[axis] = size > 1 ? labels.fresh({ value, size }) : null
      return binding[axis] ?? null
    },
    unify,
    fix(names, why) {
      for (const name of names) {
        for (const axis of computed.get(name) ?? []) if (axis) labels.fix(axis, why)
        const tensor = stored(name)
        const binding = tensor ? bindingOf(name) : []
        tensor?.dims.forEach((_, axis) => {
          const known = binding[axis]
          if (known) labels.fix(known, why)
          else binding[axis] = null
        })
      }
    },
  }
}
