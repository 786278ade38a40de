import type { Label } from './labels.ts'
import { ArrayFault } from './npy.ts'
import type { TensorValue } from './tensors.ts'

export type Outputs = Readonly<Record<string, TensorValue>>

/** How often each row is drawn, by row; absent: each once. */
export type Weights = Uint16Array

/** The evidence of one model over labelled rows, from which a metric follows for any resampling of them. */
export interface Tally {
  /** `place` is the row's in its file. Fails with ArrayFault when the label cannot be one of this output. */
  add(outputs: Outputs, label: Label, place: number): void
  value(weights?: Weights): number
  /** 1 or 0 per row, where each row is one decision that is right or wrong; undefined elsewhere. */
  rights?(): readonly number[] | undefined
}

export const weightOf = (weights: Weights | undefined, row: number): number => (weights ? (weights[row] ?? 0) : 1)

/** What is wrong with the label of a row. */
export const labelFault = (place: number, label: unknown, wanted: string): ArrayFault =>
  new ArrayFault(`Row ${place} has the label ${JSON.stringify(label)?.slice(0, 60)}; wanted ${wanted}`)

/** A label as a list, whatever its form. */
export const listed = (label: Label): readonly (number | string)[] => (Array.isArray(label) ? label.flat() : [label])

/** Sums of two figures per row whose ratio is the metric, e.g. right ÷ decided. */
export function ratioTally(read: (outputs: Outputs, label: Label, place: number) => readonly [number, number]): Tally {
  const above: number[] = []
  const below: number[] = []
  return {
    add(outputs, label, place) {
      const [top, bottom] = read(outputs, label, place)
      above.push(top)
      below.push(bottom)
    },
    value(weights) {
      let top = 0
      let bottom = 0
      for (let row = 0; row < above.length; row += 1) {
        const weight = weightOf(weights, row)
        top += weight * (above[row] ?? 0)
        bottom += weight * (below[row] ?? 0)
      }
      return bottom > 0 ? top / bottom : 0
    },
    rights: () => (below.every((each) => each === 1) ? above : undefined),
  }
}
