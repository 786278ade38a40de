import { inverseOf } from '../linear-algebra/cholesky.ts'

export interface Parts {
  /** H⁻¹ [width, width]; of it the lower triangle is kept up to date. */
  inverse: Float64Array
  /** W [width, each]. */
  weights: Float64Array
  width: number
  each: number
}

/** Weights and the inverse of what they are multiplied by, while positions are taken out and the others make up for them. */
export interface ShrinkingSystem {
  /** tr(Wₛᵀ·B·Wₛ) for B the inverse of the block of H⁻¹ at these positions: what the outputs lose with them. */
  cost(block: readonly number[]): number
  takeOut(block: readonly number[]): void
}

/** Rows of positions that are gone are let go once they are this share of all. */
const COMPACTED_SHARE = 1 / 8

/** Takes the arrays over. */
export function startSystem(given: Parts): ShrinkingSystem {
  let parts = given
  /** Row of each position; -1 when it is gone. */
  const rowOf = Int32Array.from({ length: given.width }, (_, at) => at)
  /** ‖w‖² of each row. */
  let lengths = lengthsOf(parts)
  let gone = new Uint8Array(parts.width)
  let gone_count = 0

  const compact = (): void => {
    const kept = Array.from(gone.keys()).filter((row) => gone[row] === 0)
    const to = new Map(kept.map((row, at) => [row, at]))
    rowOf.forEach((row, position) => {
      rowOf[position] = to.get(row) ?? -1
    })
    parts = compacted(parts, kept)
    lengths = Float64Array.from(kept, (row) => lengths[row]!)
    gone = new Uint8Array(kept.length)
    gone_count = 0
  }
  const rowsOf = (block: readonly number[]): number[] =>
    block.flatMap((position) => (rowOf[position]! >= 0 ? [rowOf[position]!] : []))
  return {
    cost(block) {
      const rows = rowsOf(block)
      const [only] = rows
      if (rows.length === 1 && only !== undefined) {
        const diagonal = parts.inverse[only * parts.width + only]!
        return diagonal > 0 ? lengths[only]! / diagonal : 0
      }
      return blockCost(parts, rows)
    },
    takeOut(block) {
      const rows = rowsOf(block)
      for (const position of block) rowOf[position] = -1
      for (const row of rows) gone[row] = 1
      gone_count += rows.length
      eliminate(parts, rows, gone, lengths)
      if (gone_count > parts.width * COMPACTED_SHARE) compact()
    },
  }
}

function lengthsOf({ weights, width, each }: Parts): Float64Array {
  const lengths = new Float64Array(width)
  for (let row = 0; row < width; row++) for (let at = row * each; at < (row + 1) * each; at++) lengths[row]! += weights[at]! ** 2
  return lengths
}

function compacted({ inverse, weights, width, each }: Parts, kept: readonly number[]): Parts {
  const size = kept.length
  const [small, rows] = [new Float64Array(size * size), new Float64Array(size * each)]
  kept.forEach((row, at) => {
    for (let column = 0; column <= at; column++) small[at * size + column] = inverse[row * width + kept[column]!]!
    rows.set(weights.subarray(row * each, (row + 1) * each), at * each)
  })
  return { inverse: small, weights: rows, width: size, each }
}

const entry = ({ inverse, width }: Parts, row: number, column: number): number =>
  inverse[Math.max(row, column) * width + Math.min(row, column)]!

/** The inverse of the block of H⁻¹ at these rows. */
function blockInverse(parts: Parts, rows: readonly number[]): Float64Array | undefined {
  const size = rows.length
  const matrix = new Float64Array(size * size)
  rows.forEach((row, i) => {
    rows.forEach((column, j) => {
      matrix[i * size + j] = entry(parts, row, column)
    })
  })
  return size === 1 ? (matrix[0]! > 0 ? Float64Array.of(1 / matrix[0]!) : undefined) : inverseOf(matrix, size)
}

function blockCost(parts: Parts, rows: readonly number[]): number {
  const { weights, each } = parts
  const inner = blockInverse(parts, rows)
  if (!inner) return 0
  let cost = 0
  rows.forEach((row, i) => {
    rows.forEach((column, j) => {
      let dot = 0
      for (let at = 0; at < each; at++) dot += weights[row * each + at]! * weights[column * each + at]!
      cost += dot * inner[i * rows.length + j]!
    })
  })
  return cost
}

/** W ← W − H⁻¹[:, s]·B·Wₛ and H⁻¹ ← H⁻¹ − H⁻¹[:, s]·B·H⁻¹[s, :]: what is left makes up for the block. */
function eliminate(parts: Parts, rows: readonly number[], gone: Uint8Array, lengths: Float64Array): void {
  const { inverse, weights, width, each } = parts
  const inner = rows.length > 0 ? blockInverse(parts, rows) : undefined
  if (!inner) return
  const size = rows.length
  const old_weights = rows.map((row) => weights.slice(row * each, (row + 1) * each))
  const old_rows = rows.map((row) => Float64Array.from({ length: width }, (_, at) => entry(parts, row, at)))
  for (let row = 0; row < width; row++) {
    if (gone[row] === 1) continue
    for (let j = 0; j < size; j++) {
      let share = 0
      for (let i = 0; i < size; i++) share += old_rows[i]![row]! * inner[i * size + j]!
      if (share === 0) continue
      subtract(inverse, row * width, old_rows[j]!, share, row + 1)
      lengths[row] = subtractAndMeasure(weights, row * each, old_weights[j]!, share, each)
    }
  }
}

/** values[from + i] −= share·other[i]. */
function subtract(values: Float64Array, from: number, other: Float64Array, share: number, length: number): void {
  for (let at = 0; at < length; at++) values[from + at]! -= share * other[at]!
}

/** The same, and answers the sum of squares afterwards. */
function subtractAndMeasure(values: Float64Array, from: number, other: Float64Array, share: number, length: number): number {
  let sum = 0
  for (let at = 0; at < length; at++) {
    const left = values[from + at]! - share * other[at]!
    values[from + at] = left
    sum += left * left
  }
  return sum
}
