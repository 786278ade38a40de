import type { Inspection } from '../core/domain/model.ts'

type Weight = NonNullable<Inspection['weights']>[string]

/** Names, attributes and shapes take about this much per node: 70–145 bytes over a dozen trained models, where nobody counted. */
const NODE_BYTES = 85
const FLOAT_BYTES = 4
/**
 * What is no weight (the graph, biases, batch normalisation) shrinks by as much as can be folded, which only making it tells. Where it is
 * more than this share of the file, nothing is expected.
 */
const MOST_UNKNOWN = 0.2

/** How a method stores the weights of an operator; undefined: as they are. */
export type StoredAs = (operator: string, weight: Required<Weight>) => number | undefined

const isFloat = ({ elements, bytes }: Weight): boolean => bytes === elements * FLOAT_BYTES

/**
 * Bytes of the file a method would make, from what inspection counted: elements × bits, a scale per channel or block, what stays as it is,
 * and the graph itself. `added`: operators put in for each of these. Null where weights were not counted, or are too little of the file.
 */
export function expectedBytes(
  summary: Inspection,
  storedAs: StoredAs,
  added: Readonly<Record<string, number>> = {},
): number | null {
  if (!summary.weights) return null
  let bytes = 0
  let more = 0
  for (const [operator, weight] of Object.entries(summary.weights)) {
    bytes += (isFloat(weight) ? storedAs(operator, { channels: 0, ...weight }) : undefined) ?? weight.bytes
    more += operator === 'DepthwiseConv' ? 0 : (added[operator] ?? 0) * (summary.operators?.[operator] ?? 0)
  }
  // Constants are stored in the tensors already counted.
  const { Constant = 0, ...computed } = summary.operators ?? {}
  const nodes = Object.values(computed).reduce((sum, count) => sum + count, 0)
  const each = (summary.graph_bytes ?? NODE_BYTES * (nodes + Constant)) / Math.max(1, nodes + Constant)
  const graph = (nodes + more) * each
  const unknown = nodes * each + (summary.weights.other?.bytes ?? 0)
  return unknown > MOST_UNKNOWN * (bytes + graph) ? null : Math.round(bytes + graph)
}

/** 8-bit elements and a float scale per channel. */
export const perChannel = ({ elements, channels }: Required<Weight>): number => elements + channels * FLOAT_BYTES

/** Halves where no 8 bits are taken, but for vectors (biases as an Add reads them): they are as many elements as channels. */
export const halved = (operator: string, { elements, channels }: Required<Weight>): number | undefined =>
  operator === 'other' || elements === channels ? undefined : 2 * elements

/** Codes of so many bits, and for each block a float scale and a zero point; the last block of a channel may be filled up besides. */
export const perBlock = ({ elements }: Required<Weight>, bits: number, block_size: number): number =>
  (elements * bits) / 8 + (elements / block_size) * (FLOAT_BYTES + bits / 8)

/** Share of all weight bytes that operators hold, 0–1. */
export function shareOf(summary: Inspection, operators: readonly string[]): number {
  const all = Object.values(summary.weights ?? {}).reduce((sum, { bytes }) => sum + bytes, 0)
  const held = operators.reduce((sum, operator) => sum + (summary.weights?.[operator]?.bytes ?? 0), 0)
  return all > 0 ? held / all : 0
}

/** Whether the model has operators of these kinds. */
export const has = (summary: Inspection, operators: readonly string[]): boolean =>
  operators.some((operator) => (summary.operators?.[operator] ?? 0) > 0)

/** Weights of more bytes than these take minutes where every one is looked at for every row. */
const LARGE_BYTES = 32 * 2 ** 20

/** Whether fitting to rows takes so long that what rounds at once comes first. */
export const isLarge = ({ weights = {} }: Inspection): boolean =>
  Object.values(weights).reduce((sum, { bytes }) => sum + bytes, 0) > LARGE_BYTES
