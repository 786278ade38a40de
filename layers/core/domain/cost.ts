import { type CostLines, noCost } from './money.ts'
import { type PriceBook, tieredCost } from './price.ts'
import { gbSeconds } from './usage.ts'

/** AWS bills data transfer by the gigabyte of 2^30 bytes. */
const bytesPerGb = 2 ** 30
const bytesPerMb = 2 ** 20
const lambdaMinimum_mb = 128
const lambdaMaximum_mb = 10_240

/** What an organisation used this calendar month (UTC) before: tiers are by the month. */
export interface MonthToDate {
  billed_mb_ms: number
  bytes_out: number
}

export interface PricedUsage {
  cost: CostLines
  /** Where the figures come from, without the price version. */
  basis: string
  /** Why there is no price. */
  unpriced?: string
}

export const lambdaSkus = {
  gbSecond: 'aws/lambda/arm64/gb-second',
  request: 'aws/lambda/request',
  provisioned: 'aws/lambda/arm64/provisioned-concurrency-gb-second',
  network: 'aws/data-transfer/out/gb',
} as const

export const lambdaBasis = 'AWS Lambda arm64 us-east-1'

/** Memory as Lambda bills it: whole megabytes, at least 128. */
export const billedMemory_mb = (memory_limit_bytes: number): number =>
  Math.max(lambdaMinimum_mb, Math.ceil(memory_limit_bytes / bytesPerMb))

/** Duration as Lambda bills it since 2025-08: run and INIT, rounded up to 1 ms together. */
export const billedDuration_ms = (compute_us: number, init_us: number): number => Math.ceil((compute_us + init_us) / 1000)

const unpricedUsage = (unpriced: string): PricedUsage => ({ cost: noCost, basis: 'unpriced', unpriced })

/**
 * What one flush costs as its deployment type is charged: `serverless` as AWS Lambda arm64 (GB-seconds, requests, data out; list
 * price, no free tier, no discounts). Any other type has no price yet and says so.
 */
export const priceUsage = (
  usage: { deployment_type: string; requests: number; billed_mb_ms: number; bytes_out: number; memory_limit_bytes: number },
  month: MonthToDate,
  prices: PriceBook,
): PricedUsage => {
  if (usage.deployment_type !== 'serverless')
    return unpricedUsage(`no price is known for deployment type ${usage.deployment_type}`)
  const memory_mb = billedMemory_mb(usage.memory_limit_bytes)
  if (memory_mb > lambdaMaximum_mb)
    return unpricedUsage(`${memory_mb} MB of memory is more than AWS Lambda offers (${lambdaMaximum_mb} MB)`)
  const compute = tieredCost(prices.tiers(lambdaSkus.gbSecond), gbSeconds(month.billed_mb_ms), gbSeconds(usage.billed_mb_ms))
  const requests = tieredCost(prices.tiers(lambdaSkus.request), 0, usage.requests)
  const network = tieredCost(prices.tiers(lambdaSkus.network), month.bytes_out / bytesPerGb, usage.bytes_out / bytesPerGb)
  if (compute === undefined || requests === undefined || network === undefined)
    return unpricedUsage(`price list ${prices.version} has no price for ${lambdaBasis}`)
  return { cost: { compute, requests, network }, basis: lambdaBasis }
}
