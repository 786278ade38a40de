import { sizeBytesOf } from '../../layers/core/domain/size.ts'
import { nearest } from '../../layers/core/domain/spelling.ts'

/** What the person who typed the command did wrong; said in one line, with the usage. */
export class UsageFault extends Error {}

const fault = (flag: string, got: string, wanted: string): UsageFault =>
  new UsageFault(`--${flag} ${JSON.stringify(got)} is not usable; wanted ${wanted}`)

/** `10MB` in bytes. */
export const sizeFlag = (flag: string, text: string): number => {
  const bytes = sizeBytesOf(text)
  if (bytes === undefined) throw fault(flag, text, 'a size such as 10MB, 800kB or 1.5GiB')
  return bytes
}

const secondsOf: Record<string, number> = { us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, min: 60, m: 60, h: 3600 }

/** `5ms`, `60s` or `2min` in seconds. A bare number is refused: nobody could tell milliseconds from seconds. */
export const durationFlag = (flag: string, text: string): number => {
  const [, amount, unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*(us|µs|ms|s|min|m|h)\s*$/.exec(text) ?? []
  const seconds = Number(amount) * (secondsOf[unit] ?? Number.NaN)
  if (!(seconds > 0)) throw fault(flag, text, 'a time above 0 with its unit, such as 5ms, 60s or 2min')
  return seconds
}

/** A number within bounds, the outer ones themselves excluded where `open`. */
export const numberFlag = (flag: string, text: string, low: number, high: number, open = false): number => {
  const value = /^\s*-?\d+(\.\d+)?(e-?\d+)?\s*$/i.test(text) ? Number(text) : Number.NaN
  const within = open ? value > low && value < high : value >= low && value <= high
  if (within) return value
  const bounds =
    high === Number.POSITIVE_INFINITY
      ? `a number of at least ${low}`
      : `a number ${open ? 'between' : 'from'} ${low} ${open ? 'and' : 'to'} ${high}`
  throw fault(flag, text, bounds)
}

export const choiceFlag = <const Choice extends string>(flag: string, text: string, choices: readonly Choice[]): Choice => {
  const found = choices.find((choice) => choice === text)
  if (found !== undefined) return found
  const near = nearest(text, choices)
  throw fault(flag, text, `one of ${choices.join(', ')}${near ? ` (did you mean ${near}?)` : ''}`)
}

/** `image=1x3x48x320` as input name and sizes. */
export const shapeFlag = (flag: string, text: string): [string, number[]] => {
  const at = text.lastIndexOf('=')
  const sizes = text
    .slice(at + 1)
    .split('x')
    .map(Number)
  if (at < 1 || sizes.some((size) => !Number.isInteger(size) || size < 1))
    throw fault(flag, text, 'an input and the sizes of one row, such as image=1x3x48x320')
  return [text.slice(0, at), sizes]
}

/** `name=value`; what is JSON is read as that, anything else is text. */
export const memberFlag = (flag: string, text: string): [string, unknown] => {
  const at = text.indexOf('=')
  if (at < 1) throw fault(flag, text, 'a name and a value, such as per_channel=false')
  const value = text.slice(at + 1)
  try {
    return [text.slice(0, at), JSON.parse(value)]
  } catch {
    return [text.slice(0, at), value]
  }
}
