import { ArrayFault } from './npy.ts'
import { hashOf, samplesOf } from './row-hash.ts'
import { type Feeds, numbersOf, type TensorValue } from './tensors.ts'

/** Counted up to so many: a verdict wants no more. */
const MOST_COUNTED = 8

export interface RowVariety {
  /** Different samples so far that were answered, at most 8. */
  different(): number
  add(feeds: Feeds, answer: Readonly<Record<string, TensorValue>>, place: number): void
  /** Fails with ArrayFault where no row at all was answered with a number. */
  check(): void
}

/**
 * How many different rows the original gives an answer to: the same row again and again, or one whose every answer is NaN, proves as
 * little as a single one. `each` is the number of samples of one row.
 */
export function rowVariety(each: number): RowVariety {
  const seen = new Set<string>()
  let rows = 0
  let first: { feeds: Feeds; place: number } | undefined
  return {
    different: () => seen.size,
    add(feeds, answer, place) {
      rows += 1
      first ??= { feeds, place }
      if (seen.size >= MOST_COUNTED || !isAnswered(answer)) return
      for (const sample of samplesOf(feeds, each)) if (seen.size < MOST_COUNTED) seen.add(hashOf(sample))
    },
    check() {
      if (!first || seen.size > 0) return
      throw new ArrayFault(
        `The original answers ${rows === 1 ? 'the one supplied row' : `none of the ${rows} supplied rows`} with a finite number${causeOf(first)}; wanted rows as it meets them in use`,
      )
    },
  }
}

/** Outputs of whole numbers and texts always say something; floats where one of them is finite, or there are none to be. */
const isAnswered = (answer: Readonly<Record<string, TensorValue>>): boolean =>
  Object.values(answer).some((value) => {
    if (!value.type.startsWith('float')) return true
    const numbers = numbersOf(value)
    return numbers === undefined || numbers.length === 0 || numbers.some(Number.isFinite)
  })

const causeOf = ({ feeds, place }: { feeds: Feeds; place: number }): string => {
  for (const [name, value] of Object.entries(feeds)) {
    const wrong = value.type.startsWith('float') ? numbersOf(value)?.find((each) => !Number.isFinite(each)) : undefined
    if (wrong !== undefined) return `: row ${place} (from 0) holds ${wrong} in input ${name}`
  }
  return ''
}
