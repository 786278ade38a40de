/** One label per position of an axis; positions whose labels are joined live or go together. Null: an axis nobody may shorten. */
export type Labels = Int32Array
export type Axes = (Labels | null)[]

/** Where channels come into being: the axis that a weight gives its output. */
export interface Birth {
  /** The node's first output. */
  value: string
  size: number
}

/** Union-find over the channels of a whole model. */
export interface LabelSets {
  births: readonly Birth[]
  fresh(birth: Birth): Labels
  find(label: number): number
  union(a: number, b: number): void
  /** Keeps the channels of these labels; the first reason given stays. */
  fix(labels: Labels, reason: string): void
  /** Why the class of this label must stay; undefined when it may go. */
  fixedBy(label: number): string | undefined
  /** Notes that the channels of these labels are heads of attention (or other blocks of a split axis). */
  markBlocks(labels: Labels): void
  isBlock(label: number): boolean
  birthOf(label: number): number
  count(): number
}

export function labelSets(): LabelSets {
  const parents: number[] = []
  const birth_of: number[] = []
  const births: Birth[] = []
  const reasons = new Map<number, string>()
  const blocks = new Set<number>()
  const find = (label: number): number => {
    let root = label
    while (parents[root] !== root) root = parents[root]!
    for (let at = label; at !== root; ) {
      const next = parents[at]!
      parents[at] = root
      at = next
    }
    return root
  }
  return {
    births,
    fresh(birth) {
      const first = parents.length
      for (let at = 0; at < birth.size; at++) {
        parents.push(first + at)
        birth_of.push(births.length)
      }
      births.push(birth)
      return Int32Array.from({ length: birth.size }, (_, at) => first + at)
    },
    find,
    union(a, b) {
      const [kept, gone] = [find(a), find(b)]
      if (kept === gone) return
      parents[gone] = kept
      const reason = reasons.get(kept) ?? reasons.get(gone)
      if (reason !== undefined) reasons.set(kept, reason)
      if (blocks.has(gone)) blocks.add(kept)
    },
    fix(labels, reason) {
      for (const label of labels) {
        const root = find(label)
        if (!reasons.has(root)) reasons.set(root, reason)
      }
    },
    fixedBy: (label) => reasons.get(find(label)),
    markBlocks(labels) {
      for (const label of labels) blocks.add(find(label))
    },
    isBlock: (label) => blocks.has(find(label)),
    birthOf: (label) => birth_of[label]!,
    count: () => parents.length,
  }
}
