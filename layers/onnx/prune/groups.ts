import type { Flow } from './flow.ts'

/** Channels that live or go together, e.g. one neuron, or one head of attention with its queries, keys and values. */
export interface ChannelClass {
  root: number
  /** Positions that it takes on the widest of its axes. */
  width: number
}

/** Classes that come from the same weights and so compete for the same places. */
export interface ChannelGroup {
  /** First outputs of the nodes that make these channels. */
  made_by: string[]
  kind: 'channels' | 'heads'
  classes: ChannelClass[]
}

export interface RefusedGroup {
  made_by: string[]
  channels: number
  reason: string
}

export interface Grouped {
  groups: ChannelGroup[]
  refused: RefusedGroup[]
}

/** Positions of each class by birth: root → birth → count. */
function census(flow: Flow): Map<number, Map<number, number>> {
  const classes = new Map<number, Map<number, number>>()
  for (let label = 0; label < flow.labels.count(); label++) {
    const root = flow.labels.find(label)
    const births = classes.get(root) ?? new Map<number, number>()
    classes.set(root, births)
    const birth = flow.labels.birthOf(label)
    births.set(birth, (births.get(birth) ?? 0) + 1)
  }
  return classes
}

/** Channels by the set of weights that make them; those that must stay, with why. */
export function groupChannels(flow: Flow): Grouped {
  const by_signature = new Map<string, ChannelGroup & { refused: RefusedGroup | undefined }>()
  for (const [root, births] of census(flow)) {
    const signature = [...births.keys()].toSorted((a, b) => a - b).join(' ')
    const made_by = [...births.keys()].map((birth) => flow.labels.births[birth]!.value)
    const group = by_signature.get(signature) ?? { made_by, kind: 'channels', classes: [], refused: undefined }
    by_signature.set(signature, group)
    const reason = flow.labels.fixedBy(root)
    if (reason === undefined) {
      group.classes.push({ root, width: Math.max(...births.values()) })
      if (flow.labels.isBlock(root)) group.kind = 'heads'
    } else {
      group.refused ??= { made_by, channels: 0, reason }
      group.refused.channels++
    }
  }
  const all = [...by_signature.values()]
  return {
    groups: all.flatMap(({ refused: _, ...group }) => (group.classes.length > 0 ? [group] : [])),
    refused: all.flatMap(({ refused }) => refused ?? []),
  }
}

/** Kernels work in steps of this many channels; others are padded to it. */
const MULTIPLE = 8

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))

/** Classes that go at a time, so that what is left of the group's widest axis stays a multiple of 8. */
export function removalStep({ classes }: ChannelGroup): number {
  const width = Math.max(...classes.map((each) => each.width))
  return MULTIPLE / gcd(MULTIPLE, width)
}

/** How many of a group's classes to keep at this sparsity; all of them when there are too few to choose from. */
export function keptCount(group: ChannelGroup, sparsity: number): number {
  const step = removalStep(group)
  const count = group.classes.length
  if (count <= step) return count
  return Math.min(count, Math.max(step, Math.round((count * (1 - sparsity)) / step) * step))
}
