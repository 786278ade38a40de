import type { Footprint } from './footprint.ts'
import { type CostLines, type NanoUsd, noCost } from './money.ts'
import { type PriceBook, tieredCost } from './price.ts'
import { lambdaSku, networkOutSku, sagemakerSku } from './skus.ts'
import { gbSeconds } from './usage.ts'

/** AWS bills data transfer by the gigabyte of 2^30 bytes. */
const bytesPerGb = 2 ** 30
const bytesPerMb = 2 ** 20
const lambdaMinimum_mb = 128
const lambdaMaximum_mb = 10_240
/** Ephemeral disk that comes with a function. */
export const freeEphemeral_mb = 512

/** What an organisation used this calendar month (UTC) before: tiers are by the month. Architectures are not told apart. */
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

/** What a flush used, as far as it is charged. Without a footprint `serverless` is taken as Lambda arm64 with 512 MB of disk. */
export interface ChargedUsage {
  deployment_type: string
  requests: number
  billed_mb_ms: number
  bytes_in?: number
  bytes_out: number
  memory_limit_bytes: number
  footprint?: Footprint | undefined
}

export const lambdaSkus = {
  gbSecond: lambdaSku.gbSecond('arm64'),
  request: lambdaSku.request,
  provisioned: lambdaSku.provisioned('arm64'),
  network: networkOutSku,
} as const

export const lambdaBasis = 'AWS Lambda arm64 us-east-1'

/** Memory as Lambda bills it: whole megabytes, at least 128. */
export const billedMemory_mb = (memory_limit_bytes: number): number =>
  Math.max(lambdaMinimum_mb, Math.ceil(memory_limit_bytes / bytesPerMb))

/** Duration as Lambda bills it since 2025-08: run and INIT, rounded up to 1 ms together. */
export const billedDuration_ms = (compute_us: number, init_us: number): number => Math.ceil((compute_us + init_us) / 1000)

const unpricedUsage = (unpriced: string): PricedUsage => ({ cost: noCost, basis: 'unpriced', unpriced })

/** The lines of one flush, or the reason why there is no price. */
const pricedUsage = (
  prices: PriceBook,
  basis: string,
  lines: { compute: NanoUsd | undefined; requests: NanoUsd | undefined; network: NanoUsd | undefined },
): PricedUsage => {
  const { compute, requests, network } = lines
  if (compute === undefined || requests === undefined || network === undefined)
    return unpricedUsage(`price list ${prices.version} has no price for ${basis}`)
  return { cost: { compute, requests, network }, basis }
}

const networkCost = (usage: ChargedUsage, month: MonthToDate, prices: PriceBook): NanoUsd | undefined =>
  tieredCost(prices.tiers(networkOutSku), month.bytes_out / bytesPerGb, usage.bytes_out / bytesPerGb)

/** The sum, unless a part has no price. */
const plus = (...parts: (NanoUsd | undefined)[]): NanoUsd | undefined =>
  parts.reduce((sum, part) => (sum === undefined || part === undefined ? undefined : sum + part), 0n)

/**
 * Lambda: GB-seconds of the architecture, requests, disk above 512 MB, data out. With provisioned instances the duration is at their own
 * lower price (keeping them is a standing cost); calls that spill over onto others are not told apart.
 */
const priceLambda = (usage: ChargedUsage, month: MonthToDate, prices: PriceBook): PricedUsage => {
  const memory_mb = billedMemory_mb(usage.memory_limit_bytes)
  if (memory_mb > lambdaMaximum_mb)
    return unpricedUsage(`${memory_mb} MB of memory is more than AWS Lambda offers (${lambdaMaximum_mb} MB)`)
  const { architecture = 'arm64', provisioned = 0, ephemeral_mb = 0 } = usage.footprint ?? {}
  const gb_s = gbSeconds(usage.billed_mb_ms)
  const extraDisk_gb = Math.max(0, ephemeral_mb - freeEphemeral_mb) / 1024
  const run =
    provisioned > 0
      ? tieredCost(prices.tiers(lambdaSku.provisionedDuration(architecture)), 0, gb_s)
      : tieredCost(prices.tiers(lambdaSku.gbSecond(architecture)), gbSeconds(month.billed_mb_ms), gb_s)
  const disk =
    extraDisk_gb === 0
      ? 0n
      : tieredCost(prices.tiers(lambdaSku.ephemeral), 0, (usage.billed_mb_ms / memory_mb / 1000) * extraDisk_gb)
  return pricedUsage(prices, `AWS Lambda ${architecture} us-east-1${provisioned > 0 ? ' on provisioned concurrency' : ''}`, {
    compute: plus(run, disk),
    requests: tieredCost(prices.tiers(lambdaSku.request), 0, usage.requests),
    network: networkCost(usage, month, prices),
  })
}

/** SageMaker serverless: seconds at the price of the memory size, and data processed both ways. */
const priceSagemakerServerless = (usage: ChargedUsage, month: MonthToDate, prices: PriceBook): PricedUsage => {
  const { memory_mb = billedMemory_mb(usage.memory_limit_bytes), provisioned = 0 } = usage.footprint ?? {}
  const memory_gb = Math.ceil(memory_mb / 1024)
  const seconds = usage.billed_mb_ms / billedMemory_mb(usage.memory_limit_bytes) / 1000
  const sku = provisioned > 0 ? sagemakerSku.serverlessProvisionedUseSecond : sagemakerSku.serverlessSecond
  const data_gb = ((usage.bytes_in ?? 0) + usage.bytes_out) / bytesPerGb
  return pricedUsage(prices, `SageMaker serverless inference ${memory_gb} GB us-east-1`, {
    compute: tieredCost(prices.tiers(sku(memory_gb)), 0, seconds),
    requests: tieredCost(prices.tiers(sagemakerSku.serverlessData), 0, data_gb),
    network: networkCost(usage, month, prices),
  })
}

/** Instances are paid by the hour whether anybody calls or not: a request itself costs its data only. */
const priceSagemakerInstances = (usage: ChargedUsage, month: MonthToDate, prices: PriceBook): PricedUsage =>
  pricedUsage(prices, `SageMaker instances us-east-1, which are charged by the hour beside this`, {
    compute: 0n,
    requests: plus(
      tieredCost(prices.tiers(sagemakerSku.hostingDataIn), 0, (usage.bytes_in ?? 0) / bytesPerGb),
      tieredCost(prices.tiers(sagemakerSku.hostingDataOut), 0, usage.bytes_out / bytesPerGb),
    ),
    network: networkCost(usage, month, prices),
  })

/**
 * What one flush costs as its deployment is charged, by list price without free tier or discounts: `serverless` as AWS Lambda,
 * `sagemaker` by the mode of its endpoint. Any other type has no price and says so. What is paid without requests is `standingCost`.
 */
export const priceUsage = (usage: ChargedUsage, month: MonthToDate, prices: PriceBook): PricedUsage => {
  const mode = usage.footprint?.endpoint_mode
  if (usage.deployment_type === 'serverless') return priceLambda(usage, month, prices)
  if (usage.deployment_type === 'sagemaker' && mode === 'serverless') return priceSagemakerServerless(usage, month, prices)
  if (usage.deployment_type === 'sagemaker' && mode !== undefined) return priceSagemakerInstances(usage, month, prices)
  return unpricedUsage(`no price is known for deployment type ${usage.deployment_type}`)
}
