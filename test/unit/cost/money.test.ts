import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { coveredHours, lengthHours } from '../../../layers/core/domain/cost-analysis.ts'
import { shareOut } from '../../../layers/core/domain/money.ts'

const sum = (shares: bigint[]) => shares.reduce((total, share) => total + share, 0n)

describe('shares', () => {
  it('sum to the amount, whatever the weights', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 18n }),
        fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 40 }),
        (amount, weights) => {
          expect(sum(shareOut(amount, weights))).toBe(amount)
        },
      ),
    )
  })

  it('are as even as whole nano-dollars allow', () => {
    expect(shareOut(10n, [1, 1, 1])).toEqual([4n, 3n, 3n])
    expect(shareOut(10n, [0, 0])).toEqual([5n, 5n])
    expect(shareOut(7n, [1, 0, 6])).toEqual([1n, 0n, 6n])
    expect(shareOut(5n, [])).toEqual([])
  })
})

describe('covered hours', () => {
  it('count overlaps once and never more than the whole', () => {
    const hour = 3_600_000
    expect(
      coveredHours([
        { from_ms: 0, to_ms: 2 * hour },
        { from_ms: hour, to_ms: 3 * hour },
        { from_ms: 5 * hour, to_ms: 6 * hour },
      ]),
    ).toBe(4)
    expect(
      coveredHours([
        { from_ms: 0, to_ms: 9 * hour },
        { from_ms: hour, to_ms: 2 * hour },
      ]),
    ).toBe(9)
    expect(coveredHours([])).toBe(0)
    expect(lengthHours({ from_ms: 5, to_ms: 1 })).toBe(0)
  })
})
