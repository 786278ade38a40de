/** One axis: where a value lies between 0 and 1, and the values that get a tick. */
export interface Scale {
  log: boolean
  at(value: number): number
  ticks: number[]
}

/** Values further apart than this, largest by smallest, are spread evenly by ratio rather than by difference. */
const WIDE_RATIO = 6
/** Room left beside the outermost values, as a share of the axis. */
const MARGIN = 0.07

/** A scale that holds all `values` (finite; more than one of them positive for a logarithm), with about `wanted_ticks` ticks. */
export function scaleOf(values: readonly number[], wanted_ticks: number): Scale {
  const low = Math.min(...values)
  const high = Math.max(...values)
  const log = low > 0 && high / low > WIDE_RATIO
  const [from, to] = log ? widened(Math.log10(low), Math.log10(high)) : widened(low, high)
  // Nothing is smaller than nothing: sizes and times never get a negative part of the axis.
  const start = !log && low >= 0 ? Math.max(0, from) : from
  const position = (value: number): number => ((log ? Math.log10(value) : value) - start) / (to - start)
  const ticks = (log ? logTicks(start, to, wanted_ticks) : linearTicks(start, to, wanted_ticks)).filter((tick) => {
    const at = position(tick)
    return at >= -1e-9 && at <= 1 + 1e-9
  })
  return { log, at: position, ticks }
}

function widened(low: number, high: number): [number, number] {
  const span = high - low || Math.max(Math.abs(high), 1) * 0.5
  return [low - span * MARGIN, high + span * MARGIN]
}

/** Multiples of 1, 2 or 5 times a power of ten. */
function linearTicks(from: number, to: number, wanted: number): number[] {
  const rough = (to - from) / Math.max(1, wanted)
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power
  const first = Math.ceil(from / step - 1e-9)
  return Array.from({ length: Math.floor(to / step + 1e-9) - first + 1 }, (_, at) =>
    Number(((first + at) * step).toPrecision(12)),
  )
}

/** Powers of ten, with 2 and 5 times them, or 3, where that gives about as many ticks as wanted. */
function logTicks(from: number, to: number, wanted: number): number[] {
  const choices = [[1, 2, 5], [1, 3], [1]].map((factors) => {
    const ticks: number[] = []
    for (let power = Math.floor(from); power <= Math.ceil(to); power++)
      for (const factor of factors) {
        const tick = Number((factor * 10 ** power).toPrecision(6))
        if (Math.log10(tick) >= from && Math.log10(tick) <= to) ticks.push(tick)
      }
    return ticks
  })
  const few = choices.find((ticks) => ticks.length <= wanted + 1) ?? choices.at(-1) ?? []
  return few.length >= 2 ? few : linearTicks(10 ** from, 10 ** to, wanted)
}
