import type { ModelProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'
import { type Reference, sqnrAgainst } from './measure.ts'

/** Enough to tell which node costs more than another. */
const RANKING_SAMPLES = 3

export interface Sensitivity {
  /** First output of the node. */
  node: string
  /** Of the model with this node alone quantized. */
  sqnr_db: number
}

/** Makes the candidate with these nodes (by first output) left as floats. */
export type BuildWithout = (exclude: ReadonlySet<string>) => ModelProto

const noise = (sqnr_db: number): number => 10 ** (-sqnr_db / 10)

/**
 * What each node costs when it alone is quantized, the most sensitive first. Runs the model once per node and sample; stops with
 * what it has when `until_ms` (of `performance.now()`) has passed, and then leaves out the nodes not measured.
 */
export async function sensitivityList(
  reference: Reference,
  nodes: readonly string[],
  build: BuildWithout,
  options: { samples?: number; until_ms?: number } = {},
): Promise<Sensitivity[]> {
  const list: Sensitivity[] = []
  for (const node of nodes) {
    if (performance.now() > (options.until_ms ?? Number.POSITIVE_INFINITY)) break
    const candidate = build(new Set(nodes.filter((other) => other !== node)))
    list.push({ node, sqnr_db: await sqnrAgainst(reference, candidate, options.samples ?? RANKING_SAMPLES) })
  }
  return list.toSorted((a, b) => a.sqnr_db - b.sqnr_db)
}

/** The candidate without its k most sensitive nodes. */
export const dropWorst = (list: readonly Sensitivity[], k: number, build: BuildWithout): ModelProto =>
  build(new Set(list.slice(0, k).map(({ node }) => node)))

export interface MixedPrecision {
  model: ModelProto
  /** Nodes left as floats, most sensitive first. */
  dropped: string[]
  sqnr_db: number
}

/**
 * Drops the fewest of the most sensitive nodes so that the candidate keeps an SQNR, by bisection over k with measured candidates
 * (errors of several nodes do not simply add).
 * @throws OnnxFault unsupported when not even one quantized node keeps it
 */
export async function holdWithFewestDropped(
  reference: Reference,
  list: readonly Sensitivity[],
  build: BuildWithout,
  wanted_db: number,
): Promise<MixedPrecision> {
  const tried = async (k: number): Promise<MixedPrecision> => {
    const model = dropWorst(list, k, build)
    return { model, dropped: list.slice(0, k).map(({ node }) => node), sqnr_db: await sqnrAgainst(reference, model) }
  }
  let best = await tried(0)
  if (noise(best.sqnr_db) <= noise(wanted_db)) return best
  let [least, most] = [1, list.length]
  let found = false
  while (least < most) {
    const middle = Math.floor((least + most) / 2)
    const candidate = await tried(middle)
    if (candidate.sqnr_db >= wanted_db) {
      ;[most, best, found] = [middle, candidate, true]
    } else least = middle + 1
  }
  if (!found)
    throw new OnnxFault(
      'unsupported',
      `No mix keeps ${wanted_db} dB: all ${list.length} nodes together keep ${best.sqnr_db.toFixed(1)} dB, the most sensitive is "${list[0]?.node ?? ''}"`,
    )
  return best
}
