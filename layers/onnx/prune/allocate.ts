import type { ModelProto } from '../codec/schema.ts'
import { elementCount } from '../codec/tensor-values.ts'
import type { Flow } from './flow.ts'
import { type ChannelGroup, keptCount, removalStep } from './groups.ts'
import { type RemovalOrder, removalOrder } from './importance.ts'
import type { Moments } from './observe.ts'

/** No group loses more than this share of what it would keep if all lost alike. */
const MOST_UNEQUAL = 0.5

interface Candidate {
  group: ChannelGroup
  order: RemovalOrder
  /** What one class of it costs. */
  cost: number
  /** How many go when all groups lose the same share. */
  equal: number
  removed: number
  step: number
}

/** One stored tensor some of whose axes may shorten, and what it costs: its share of all weights plus its share of all products. */
interface Cost {
  axes: { size: number; roots: number[] }[]
  cost: number
}

/** How often each element of a stored tensor is multiplied in one run, by the output of the node that reads it first. */
function timesUsed(flow: Flow, name: string): number {
  const node = flow.index.uses.get(name)?.[0]?.node
  const dims = flow.dims(node?.output[0] ?? '') ?? []
  return elementCount(node?.op_type?.startsWith('Conv') ? dims.slice(2) : dims.slice(0, -1))
}

function costsOf(flow: Flow): Cost[] {
  const tensors = [...flow.bound].flatMap(([name, bound]) => {
    const dims = flow.stored(name)?.dims ?? []
    const axes = bound.flatMap((labels, axis) =>
      labels ? [{ size: dims[axis] ?? 1, roots: Array.from(labels, (label) => flow.labels.find(label)) }] : [],
    )
    const elements = elementCount(dims)
    return axes.length > 0 ? [{ axes, elements, products: elements * timesUsed(flow, name) }] : []
  })
  const total = (pick: (tensor: (typeof tensors)[number]) => number) =>
    Math.max(
      1,
      tensors.reduce((sum, each) => sum + pick(each), 0),
    )
  const [elements, products] = [total((each) => each.elements), total((each) => each.products)]
  return tensors.map((each) => ({ axes: each.axes, cost: each.elements / elements + each.products / products }))
}

/** What all tensors cost without these classes. */
const costWithout = (costs: readonly Cost[], gone: ReadonlySet<number>): number =>
  costs.reduce(
    (sum, { axes, cost }) =>
      sum + axes.reduce((left, { size, roots }) => (left * roots.filter((root) => !gone.has(root)).length) / size, cost),
    0,
  )

/** What one class costs on average, by group. */
function costPerClass(costs: readonly Cost[], groups: readonly ChannelGroup[]): number[] {
  const of_root = new Map<number, number>()
  for (const { axes, cost } of costs)
    for (const { size, roots } of axes) for (const root of roots) of_root.set(root, (of_root.get(root) ?? 0) + cost / size)
  return groups.map(({ classes }) => classes.reduce((sum, { root }) => sum + (of_root.get(root) ?? 0), 0) / classes.length)
}

/**
 * Which classes of which groups go: until what is left costs as little as if every group lost the same share of its channels, but where
 * they are missed least. Costs are stored weights and multiplications alike, so that neither the large late layers nor the busy early
 * ones bear it all. Groups whose losses are not known lose that share. Answers the removed classes, group by group.
 */
export function allocateRemoval(
  model: ModelProto,
  flow: Flow,
  groups: readonly ChannelGroup[],
  sparsity: number,
  moments: ReadonlyMap<string, Moments>,
): number[][] {
  const costs = costsOf(flow)
  const each = costPerClass(costs, groups)
  const candidates = groups.map((group, at): Candidate => {
    const kept = keptCount(group, sparsity)
    const step = removalStep(group)
    const equal = group.classes.length - kept
    const floor = group.classes.length <= step ? kept : Math.max(step, Math.floor((kept * MOST_UNEQUAL) / step) * step)
    const order = removalOrder(model, flow, group, moments.size > 0 ? group.classes.length - floor : equal, moments)
    return { group, order, cost: each[at]!, equal, removed: order.losses ? 0 : equal, step }
  })
  const gone = (count: (candidate: Candidate) => number) =>
    new Set(candidates.flatMap((each) => each.order.roots.slice(0, count(each))))
  const wanted = costWithout(
    costs,
    gone(({ equal }) => equal),
  )
  const open = candidates.filter(({ order }) => order.losses !== undefined)
  const over = (): number =>
    costWithout(
      costs,
      gone(({ removed }) => removed),
    ) - wanted
  for (let before = over(); before > 0; ) {
    const next = cheapest(open)
    if (!next) break
    const { removed } = next.candidate
    next.candidate.removed = next.to
    const after = over()
    // A last step that goes too far is not worth it where the one before was nearer.
    if (-after > before) next.candidate.removed = removed
    if (after <= 0) break
    before = after
  }
  return candidates.map(({ order, removed }) => order.roots.slice(0, removed))
}

/** The step of any group that loses least for what it saves. */
function cheapest(candidates: readonly Candidate[]): { candidate: Candidate; to: number } | undefined {
  let best: { candidate: Candidate; to: number; price: number } | undefined
  for (const candidate of candidates) {
    const { group, order, removed, step, cost } = candidate
    // The first step also takes what is beyond a multiple.
    const to = removed === 0 && group.classes.length % step > 0 ? group.classes.length % step : removed + step
    if (to > order.roots.length) continue
    const price = ((order.losses?.[to - 1] ?? 0) - (order.losses?.[removed - 1] ?? 0)) / ((to - removed) * cost)
    if (!best || price < best.price) best = { candidate, to, price }
  }
  return best
}
