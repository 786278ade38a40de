import type { Feeds } from '../onnx/evaluate/tensors.ts'

/** Inputs of this many bytes in all: every value of every layer is looked at for each row, which for images takes a second a row. */
const ROW_BYTES = 4 * 2 ** 20
const FEWEST = 16

/** As many of the rows, from the front, as fitting can look at in seconds; they are in an order whose every beginning is a fair sample. */
export function affordable(samples: readonly Feeds[]): Feeds[] {
  const each = Object.values(samples[0] ?? {}).reduce((sum, value) => sum + ('bytes' in value ? value.bytes.length : 0), 1)
  return samples.slice(0, Math.max(FEWEST, Math.floor(ROW_BYTES / each)))
}

/** What a candidate was fitted on, told of the rows that were looked at. */
export const affordableNote = ({ samples, note }: { samples: readonly Feeds[]; note: string }): string => {
  const count = affordable(samples).length
  return count < samples.length ? `${note}; ${count} of them were looked at` : note
}
