import { isJsonLines, jsonLineRows } from './json-lines.ts'
import type { Label } from './labels.ts'
import { arraysOf, readHead } from './npz.ts'
import { arrayRows, type RowSet } from './supplied.ts'
import type { Feeds, TensorPort } from './tensors.ts'

export type { Label } from './labels.ts'
export type { RowSet } from './supplied.ts'

/** Rows beyond these are left alone: no candidate needs more to be fitted or judged, and places of rows are kept in lists. */
const MOST_ROWS = 2 ** 20

/**
 * The rows of a file for a model's inputs: .npz, .npy, JSON lines, idx (MNIST's), a zip of .npy or .idx members; any of them
 * gzipped. What it is, its content says, not its name. Rows are made when asked for. The file is in memory up to a gigabyte: of larger
 * ones its first rows are taken, packed ones are refused. Fails with ArrayFault when the file is none of these, is broken or does not
 * fit; with a row of JSON only once that is asked for.
 */
export function openDataset(path: string, ports: readonly TensorPort[], most_bytes?: number): RowSet {
  const { bytes, cut } = readHead(path, most_bytes)
  const rows = isJsonLines(bytes) ? jsonLineRows(bytes, ports, cut) : arrayRows(arraysOf(bytes, cut), ports)
  return { ...rows, count: Math.min(rows.count, MOST_ROWS) }
}

export interface Dataset {
  /** The shape of each: as the model's inputs are, first dimension included. */
  rows: Feeds[]
  /** As many as rows. */
  labels?: Label[]
}

/** Rows and labels of a file, the first `max_rows` (all of them when absent). Fails with ArrayFault as `openDataset`. */
export function readDataset(path: string, ports: readonly TensorPort[], { max_rows }: { max_rows?: number } = {}): Dataset {
  return takeRows(openDataset(path, ports), 0, max_rows)
}

/** Rows `from` to below `from + most` of a set, as lists. */
export function takeRows(set: RowSet, from: number, most: number = set.count): Dataset {
  const length = Math.max(0, Math.min(most, set.count - from))
  const rows = Array.from({ length }, (_, at) => set.row(from + at))
  const { label } = set
  return label ? { rows, labels: rows.map((_, at) => label(from + at)) } : { rows }
}
