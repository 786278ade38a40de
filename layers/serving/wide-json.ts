/**
 * JSON with integers beyond 2^53, which INT64 and UINT64 tensors need: read as BigInt where a double would round,
 * written digit by digit from 64-bit arrays.
 */

/** 16 digits or more outside a fraction: only then is the slower reviver worth its price (about 5× per number). */
const wideInteger = /(?<![\d.eE+])-?\d{16,}(?![\d.eE])/
const plainInteger = /^-?\d+$/

const widen = (_key: string, value: unknown, ...context: { source?: string }[]): unknown => {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const source = context[0]?.source
  return source !== undefined && plainInteger.test(source) ? BigInt(source) : value
}

/** Parses JSON; whole numbers that a double cannot hold come back as bigint. Throws SyntaxError. */
export const parseWideJson = (text: string): unknown => (wideInteger.test(text) ? JSON.parse(text, widen) : JSON.parse(text))

/** A flat JSON array of the values; NaN and the infinities have no JSON form and become null. */
export const flatJson = (values: ArrayLike<number | bigint | boolean | string>): string => {
  const first = values[0]
  if (typeof first === 'bigint') return `[${Array.prototype.join.call(values, ',')}]`
  return JSON.stringify(Array.isArray(values) ? values : Array.from(values))
}

/** The values as nested JSON arrays of `shape`; a scalar has shape []. */
export const nestedJson = (values: ArrayLike<number | bigint | boolean | string>, shape: readonly number[]): string => {
  const scalar = (value: number | bigint | boolean | string | undefined): string =>
    typeof value === 'bigint' ? value.toString() : JSON.stringify(value)
  let position = 0
  const level = (depth: number): string => {
    if (depth === shape.length) return scalar(values[position++])
    const parts: string[] = []
    for (let i = 0; i < (shape[depth] ?? 0); i++) parts.push(level(depth + 1))
    return `[${parts.join(',')}]`
  }
  return level(0)
}
