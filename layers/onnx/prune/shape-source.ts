import type { NodeProto } from '../codec/schema.ts'
import { tensorNumbers } from '../codec/tensor-values.ts'
import { isPlain } from '../graph/index-graph.ts'
import type { Flow } from './flow.ts'

/** The numbers of a stored list; undefined when it is computed. */
export const storedNumbers = (flow: Pick<Flow, 'stored'>, name: string): number[] | undefined => {
  const tensor = flow.stored(name)
  return tensor && tensorNumbers(tensor)
}

/** Where the entries of a list of sizes come from: stored in one tensor, or in pieces that a Concat joins with computed ones. */
export interface ShapeSource {
  /** Entry by entry; undefined where it is computed. */
  entries: (number | undefined)[]
  /** The Concat that joins the pieces, when there is one. */
  concat?: NodeProto
}

/** The source of a list of sizes as far as it can be read and rewritten; all computed when it comes from anywhere else. */
export function shapeSource(flow: Pick<Flow, 'stored' | 'dims' | 'index'>, name: string): ShapeSource {
  const whole = storedNumbers(flow, name)
  if (whole) return { entries: whole }
  const length = flow.dims(name)?.[0] ?? 0
  const concat = flow.index.producers.get(name)
  if (!concat || !isPlain(concat, 'Concat')) return { entries: Array.from({ length }, () => undefined) }
  const entries = concat.input.flatMap(
    (piece) => storedNumbers(flow, piece) ?? Array.from({ length: flow.dims(piece)?.[0] ?? 0 }, () => undefined),
  )
  return { entries, concat }
}
