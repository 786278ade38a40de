import type { ModelProto, TensorProto } from '../codec/schema.ts'
import { tensorFloats } from '../codec/tensor-values.ts'
import { fitTarget } from './fit-target.ts'
import type { Consumer, Flow } from './flow.ts'
import type { ChannelGroup } from './groups.ts'
import { type Moments, momentsKey } from './observe.ts'
import { type RemovalState, removalState } from './removal.ts'

/** ‖w‖² of every slice of a weight along one axis. */
export function axisEnergy(tensor: TensorProto, axis: number): Float64Array {
  const values = tensorFloats(tensor)
  const size = tensor.dims[axis] ?? 1
  const inner = tensor.dims.slice(axis + 1).reduce((product, dim) => product * dim, 1)
  const sums = new Float64Array(size)
  for (let at = 0; at < values.length; at++) sums[Math.floor(at / inner) % size]! += values[at]! * values[at]!
  return sums
}

/** Positions of each class among those a consumer reads. */
function placesOf(flow: Flow, { labels }: Consumer): Map<number, number[]> {
  const places = new Map<number, number[]>()
  labels.forEach((label, position) => {
    const root = flow.labels.find(label)
    const known = places.get(root)
    if (known) known.push(position)
    else places.set(root, [position])
  })
  return places
}

/** Classes of a group in the order in which they may go, and what that costs. */
export interface RemovalOrder {
  roots: number[]
  /** Share of what its consumers sum up that is lost after the first, the first two …; undefined where it is not known. */
  losses: number[] | undefined
}

/**
 * The order in which the classes of a group may go, at most `most`, so that what they are summed up to changes least.
 * With samples each class costs what the outputs of all its consumers lose although the channels left make up for it as well as they can
 * (tr of Wₛᵀ·[H⁻¹]ₛₛ⁻¹·Wₛ), and the next is chosen after the first has gone. Where that is too large, Σ E[a²]·‖w‖²; without samples the
 * energy of the weights that make the channel stands for E[a²].
 * Source: Hassibi, Stork, Second Order Derivatives for Network Pruning: Optimal Brain Surgeon (1993), by blocks as in Kurtić et al., ZipLM (2023).
 */
export function removalOrder(
  model: ModelProto,
  flow: Flow,
  group: ChannelGroup,
  most: number,
  moments: ReadonlyMap<string, Moments>,
): RemovalOrder {
  const roots = new Set(group.classes.map(({ root }) => root))
  const consumers = flow.consumers.filter(({ labels }) => labels.some((label) => roots.has(flow.labels.find(label))))
  const states = most > 0 ? consumers.map((consumer) => stateOf(model, flow, consumer, moments)) : []
  if (states.length > 0 && states.every((state) => state !== undefined)) return greedily(states, [...roots], most)
  const importance = classImportance(flow, consumers, moments)
  return {
    roots: [...roots].toSorted((a, b) => (importance.get(a) ?? 0) - (importance.get(b) ?? 0)).slice(0, most),
    losses: undefined,
  }
}

function stateOf(
  model: ModelProto,
  flow: Flow,
  consumer: Consumer,
  moments: ReadonlyMap<string, Moments>,
): RemovalState | undefined {
  const tensor = flow.stored(consumer.weight)
  const seen = moments.get(momentsKey(consumer))
  if (!tensor || !seen?.products) return undefined
  // What a channel is on average the bias takes over, where there can be one.
  const centred = fitTarget(model, consumer)?.bias !== undefined
  return removalState(seen, centred, tensor, consumer.weight_axis, placesOf(flow, consumer))
}

/** Multiplications that choosing may take; beyond it several classes go at a time. */
const MOST_WORK = 1e9

function greedily(states: readonly RemovalState[], roots: number[], count: number): RemovalOrder {
  const work = states.reduce((sum, { step_work }) => sum + step_work, 0) * count
  const at_once = Math.max(1, Math.ceil(work / MOST_WORK))
  const left = new Set(roots)
  const order: Required<RemovalOrder> = { roots: [], losses: [] }
  let loss = 0
  while (order.roots.length < count) {
    // Outputs of consumers differ in size: what counts is the share of each that is lost.
    const costs = [...left].map((root) => ({
      root,
      cost: states.reduce((sum, state) => sum + state.cost(root) / state.energy, 0),
    }))
    const wanted = Math.min(at_once, count - order.roots.length)
    const first = costs.reduce((best, each) => (each.cost < best.cost ? each : best))
    const cheapest = wanted === 1 ? [first] : costs.toSorted((a, b) => a.cost - b.cost).slice(0, wanted)
    for (const { root, cost } of cheapest) {
      for (const state of states) state.remove(root)
      left.delete(root)
      loss += cost
      order.roots.push(root)
      order.losses?.push(loss)
    }
  }
  return order
}

/** Σ E[a²]·‖w‖² over the places of each class, by root. */
function classImportance(flow: Flow, consumers: readonly Consumer[], moments: ReadonlyMap<string, Moments>): Map<number, number> {
  const importance = new Map<number, number>()
  const made = moments.size === 0 ? producerEnergy(flow) : undefined
  for (const consumer of consumers) {
    const tensor = flow.stored(consumer.weight)
    if (!tensor) continue
    const out = axisEnergy(tensor, consumer.weight_axis)
    const squares = moments.get(momentsKey(consumer))?.squares
    consumer.labels.forEach((label, position) => {
      const root = flow.labels.find(label)
      const square = squares ? squares[position]! : (made?.get(root) ?? 1)
      importance.set(root, (importance.get(root) ?? 0) + square * out[position]!)
    })
  }
  return importance
}

/** ‖w‖² of the weights that make each class, by root. */
function producerEnergy(flow: Flow): Map<number, number> {
  const energy = new Map<number, number>()
  const consumed = new Set(flow.consumers.map(({ weight, weight_axis }) => `${weight_axis} ${weight}`))
  for (const [name, axes] of flow.bound) {
    const tensor = flow.stored(name)
    if (!tensor || tensor.dims.length < 2) continue
    for (const [axis, labels] of axes.entries()) {
      if (!labels || consumed.has(`${axis} ${name}`)) continue
      axisEnergy(tensor, axis).forEach((sum, position) => {
        const root = flow.labels.find(labels[position]!)
        energy.set(root, (energy.get(root) ?? 0) + sum)
      })
    }
  }
  return energy
}
