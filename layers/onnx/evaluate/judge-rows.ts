import { type Label, openDataset, type RowSet } from './dataset.ts'
import { hashOf } from './row-hash.ts'
import { type DataPaths, type Split, splitCalibration, splitEvaluation, spread } from './split.ts'
import { bytesOf, type Feeds, type TensorPort } from './tensors.ts'

/** The rows that judge a candidate, in an order whose every beginning is a fair sample of all: files are often sorted by class. */
export interface JudgeRows {
  count: number
  row(index: number): Feeds
  label: ((index: number) => Label) | undefined
  /** Where a row stands in its file, from 0. */
  place(index: number): number
  /** Whether candidates may have been fitted to this row: it is among the rows to fit with. */
  isFitted(feeds: Feeds): boolean
  /** Samples of one row: more than one where the inputs' first dimension is fixed. */
  samples_each: number
}

interface JudgedData extends DataPaths {
  /** No candidate is fitted: all rows judge, and none are set apart. */
  unfitted?: boolean | undefined
}

/** Bytes of fit rows that are remembered by hash: more than optimizers take. */
const MOST_HASHED_BYTES = 2 ** 28

/**
 * Rows to judge with by the rule of `split.ts`, or null when no data were supplied. Fails with ArrayFault when they do not fit the
 * inputs.
 */
export function judgeRows(
  { calibration_path, evaluation_path = null, unfitted = false }: JudgedData,
  ports: readonly TensorPort[],
): JudgeRows | null {
  const path = evaluation_path ?? calibration_path
  if (path === null) return null
  const set = openDataset(path, ports)
  const both = calibration_path !== null && evaluation_path !== null
  const { judge, fit } = both || unfitted ? allJudge(set.count) : splitAlone(set.count, evaluation_path)
  const others = both ? openDataset(calibration_path, ports) : set
  const fitted = hashesOf(others, both ? spread(others.count) : fit)
  const { label } = set
  const at = (index: number): number => judge[index] ?? 0
  return {
    count: judge.length,
    row: (index) => set.row(at(index)),
    label: label && ((index) => label(at(index))),
    place: at,
    isFitted: (feeds) => fitted.has(hashOf(feeds)),
    samples_each: samplesEach(ports),
  }
}

type Parts = Pick<Split, 'judge' | 'fit'>
const allJudge = (count: number): Parts => ({ judge: spread(count), fit: [] })
const splitAlone = (count: number, evaluation_path: string | null): Parts =>
  evaluation_path === null ? splitCalibration(count) : splitEvaluation(count)

const samplesEach = (ports: readonly TensorPort[]): number => {
  const first = ports[0]?.shape[0]
  return typeof first === 'number' && first > 1 && ports.every(({ shape }) => shape[0] === first) ? first : 1
}

function hashesOf(set: RowSet, rows: readonly number[]): Set<string> {
  const hashes = new Set<string>()
  let bytes = 0
  for (const index of rows) {
    const feeds = set.row(index)
    bytes += bytesOf(feeds)
    if (bytes > MOST_HASHED_BYTES) break
    hashes.add(hashOf(feeds))
  }
  return hashes
}
