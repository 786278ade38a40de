import * as z from 'zod'

/** Money is integer nano-USD inside the platform and decimal USD at the edge. */
export type NanoUsd = bigint

export const nanoUsdFrom = (usd: number): NanoUsd => BigInt(Math.round(usd * 1e9))
export const usdFrom = (nano: NanoUsd): number => Number(nano) / 1e9

/** Stored as a decimal string: JSON has no 64-bit integers. */
export const NanoUsdCodec = z.codec(z.string().regex(/^\d+$/), z.bigint(), {
  decode: (digits) => BigInt(digits),
  encode: (nano) => nano.toString(),
})

/** What usage costs, by what is charged. */
export const CostLinesCodec = z.object({ compute: NanoUsdCodec, requests: NanoUsdCodec, network: NanoUsdCodec })
export type CostLines = z.output<typeof CostLinesCodec>

export const noCost: CostLines = { compute: 0n, requests: 0n, network: 0n }

export const sumCosts = (a: CostLines, b: CostLines): CostLines => ({
  compute: a.compute + b.compute,
  requests: a.requests + b.requests,
  network: a.network + b.network,
})

export const costTotal = (lines: CostLines): NanoUsd => lines.compute + lines.requests + lines.network

/**
 * `amount` in shares proportional to `weights`, exact to the nano-dollar: the shares sum to `amount` (largest remainder, ties to
 * the first). All weights 0 share equally; no weights, no shares.
 */
export const shareOut = (amount: NanoUsd, weights: readonly number[]): NanoUsd[] => {
  const sum = weights.reduce((total, weight) => total + weight, 0)
  const scaled = weights.map((weight) => BigInt(Math.round((sum > 0 ? weight / sum : 1 / weights.length) * 1e15)))
  const units = scaled.reduce((total, weight) => total + weight, 0n)
  const shares = scaled.map((weight) => (amount * weight) / units)
  const byRemainder = scaled
    .map((weight, index) => ({ index, rest: (amount * weight) % units }))
    .sort((a, b) => (a.rest < b.rest ? 1 : a.rest > b.rest ? -1 : a.index - b.index))
  let left = amount - shares.reduce((total, share) => total + share, 0n)
  for (const { index } of byRemainder) {
    if (left <= 0n) break
    shares[index] = (shares[index] ?? 0n) + 1n
    left -= 1n
  }
  return shares
}
