import type { Axes, LabelSets, Labels } from './labels.ts'

interface Block {
  before: number[]
  after: number[]
}

/** Runs of axes that hold the same elements before and after, as short as can be; axes of size 1 belong to none. */
function blocksOf(before: readonly number[], after: readonly number[]): Block[] {
  const blocks: Block[] = []
  let [i, j] = [0, 0]
  while (i < before.length || j < after.length) {
    const block: Block = { before: [], after: [] }
    let [left, right] = [1, 1]
    do {
      if (left <= right && i < before.length) {
        if (before[i] !== 1) block.before.push(i)
        left *= before[i++]!
      } else if (j < after.length) {
        if (after[j] !== 1) block.after.push(j)
        right *= after[j++]!
      } else if (i < before.length) left *= before[i++]!
      else break
    } while (left !== right)
    if (block.before.length > 0 || block.after.length > 0) blocks.push(block)
  }
  return blocks
}

const sizeOf = (axes: readonly number[], dims: readonly number[]): number =>
  axes.reduce((product, axis) => product * dims[axis]!, 1)

/** Position of each element of a block on one of its axes. */
const positionOn = (axes: readonly number[], axis: number, dims: readonly number[]): ((element: number) => number) => {
  const inner = sizeOf(axes.slice(axes.indexOf(axis) + 1), dims)
  return (element) => Math.floor(element / inner) % dims[axis]!
}

/** Queries, keys and values made by one product stand before the heads: [3, heads, width]. Else the first part counts. */
const splitTarget = (parts: readonly number[], dims: readonly number[]): number =>
  parts.length >= 3 && dims[parts[0]!]! <= 3 ? parts[1]! : parts[0]!

/**
 * Labels of the axes after elements were laid out anew in the same order. An axis that is merged gives each element its label; one
 * that is split keeps them on the first part, whose positions become blocks that live or go as a whole (heads of attention).
 */
export function regroup(sets: LabelSets, axes: Axes, before: readonly number[], after: readonly number[], why: string): Axes {
  const result: Axes = after.map(() => null)
  for (const block of blocksOf(before, after)) {
    const labelled = block.before.filter((axis) => axes[axis])
    const [only, second] = labelled
    const [first, ...rest] = block.after
    if (only === undefined) continue
    if (second !== undefined || first === undefined) {
      for (const axis of labelled) sets.fix(axes[axis]!, why)
      continue
    }
    if (block.before.length === 1 && rest.length === 0) {
      result[first] = axes[only]!
      continue
    }
    const from = positionOn(block.before, only, before)
    const elements = Int32Array.from({ length: sizeOf(block.before, before) }, (_, at) => axes[only]![from(at)]!)
    const target = splitTarget(block.after, after)
    result[target] =
      rest.length === 0 ? elements : joinedBlocks(sets, elements, positionOn(block.after, target, after), after[target]!)
  }
  return result
}

/** Joins all elements at the same position of an axis; answers one label per position. */
function joinedBlocks(sets: LabelSets, elements: Labels, positionOf: (element: number) => number, count: number): Labels {
  const labels = new Int32Array(count).fill(-1)
  let joined = false
  elements.forEach((label, element) => {
    const position = positionOf(element)
    const first = labels[position]!
    if (first < 0) labels[position] = label
    else if (sets.find(first) !== sets.find(label)) {
      joined = true
      sets.union(first, label)
    }
  })
  if (joined) sets.markBlocks(labels)
  return labels
}
