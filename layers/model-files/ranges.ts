/** Inclusive byte positions. */
export interface ByteRange {
  start: number
  end: number
}

/** 8 MB a request: large enough that the time to its first byte (about 30 ms) does not count, small enough for eight at once. */
export const range_bytes = 8 * 2 ** 20

/** The ranges of a file in order; none for an empty one. */
export const rangesOf = (size_bytes: number, part_bytes = range_bytes): ByteRange[] =>
  Array.from({ length: Math.ceil(size_bytes / part_bytes) }, (_, at) => ({
    start: at * part_bytes,
    end: Math.min(size_bytes, (at + 1) * part_bytes) - 1,
  }))

/** Full jitter: between 0 and a limit that doubles from 50 ms to 2 s, milliseconds (Brooker, "Exponential backoff and jitter", 2015). */
export const retryDelay_ms = (failures: number, random = Math.random): number =>
  random() * Math.min(2000, 50 * 2 ** Math.min(failures, 10))
