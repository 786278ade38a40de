import { hoursPerMonth } from './comparison.ts'
import { billedMemory_mb, lambdaSkus } from './cost.ts'
import { type NanoUsd, nanoUsdFrom, shareOut } from './money.ts'
import { type PriceBook, tieredCost, unitPrice } from './price.ts'

export interface Span {
  from_ms: number
  to_ms: number
}

const hour_ms = 3_600_000
const bytesPerGb = 2 ** 30

export const overlap = (a: Span, b: Span): Span => ({
  from_ms: Math.max(a.from_ms, b.from_ms),
  to_ms: Math.min(a.to_ms, b.to_ms),
})
export const lengthHours = ({ from_ms, to_ms }: Span): number => Math.max(0, to_ms - from_ms) / hour_ms

/** Hours covered by at least one of the spans. */
export const coveredHours = (spans: readonly Span[]): number => {
  let covered = 0
  let until_ms = Number.NEGATIVE_INFINITY
  for (const span of [...spans].sort((a, b) => a.from_ms - b.from_ms)) {
    covered += lengthHours({ from_ms: Math.max(span.from_ms, until_ms), to_ms: span.to_ms })
    until_ms = Math.max(until_ms, span.to_ms)
  }
  return covered
}

/** A model file that is kept. */
export interface StoredModel {
  id: string
  size_bytes: number
  stored: Span
  /** Its storage class; S3 Standard where absent. */
  sku?: string
}

export interface StorageCosts {
  by_deployment: Map<string, NanoUsd>
  /** Byte-hours of its model, for comparisons. */
  byte_hours: Map<string, number>
  /** Of model files while no deployment used them. */
  undeployed: NanoUsd
}

export const storageSku = 'aws/s3/standard/gb-month'
export const coldStorageSku = 'aws/s3/glacier-ir/gb-month'

/**
 * Storage of model files in a window, on S3 Standard unless archived. While deployments use a file they carry its cost, in shares of the time
 * each used it; the rest is nobody's and stands apart. Undefined when storage has no price.
 */
export const storageCosts = (
  models: readonly StoredModel[],
  uses: readonly { deployment_id: string; model_id: string; used: Span }[],
  window: Span,
  prices: PriceBook,
): StorageCosts | undefined => {
  const tiers = prices.tiers(storageSku)
  if (tiers.length === 0) return undefined
  const costs: StorageCosts = { by_deployment: new Map(), byte_hours: new Map(), undeployed: 0n }
  const cold = prices.tiers(coldStorageSku)
  const cost = ({ size_bytes, sku }: StoredModel, hours: number) =>
    tieredCost(
      sku === coldStorageSku && cold.length > 0 ? cold : tiers,
      0,
      ((size_bytes / bytesPerGb) * hours) / hoursPerMonth,
    ) ?? 0n
  for (const model of models) {
    const stored = overlap(model.stored, window)
    const users = uses
      .filter((use) => use.model_id === model.id)
      .map((use) => ({ id: use.deployment_id, span: overlap(use.used, stored) }))
      .filter((user) => lengthHours(user.span) > 0)
    const whole = cost(model, lengthHours(stored))
    const used_hours = coveredHours(users.map((user) => user.span))
    const deployed = users.length > 0 ? cost(model, used_hours) : 0n
    costs.undeployed += whole > deployed ? whole - deployed : 0n
    const weights = users.map((user) => lengthHours(user.span))
    const weight = weights.reduce((sum, hours) => sum + hours, 0)
    for (const [index, share] of shareOut(deployed, weights).entries()) {
      const id = users[index]?.id ?? ''
      costs.by_deployment.set(id, (costs.by_deployment.get(id) ?? 0n) + share)
      costs.byte_hours.set(id, (costs.byte_hours.get(id) ?? 0) + (model.size_bytes * used_hours * (weights[index] ?? 0)) / weight)
    }
  }
  return costs
}

/** Price of keeping instances of a memory size ready on Lambda (provisioned concurrency), USD an hour; undefined when unpriced. */
export const keptWarmUsdPerHour = (instances: number, memory_bytes: number, prices: PriceBook): number | undefined => {
  const usd = unitPrice(prices, lambdaSkus.provisioned)
  return usd === undefined ? undefined : instances * (billedMemory_mb(memory_bytes) / 1024) * 3600 * usd
}

export const keptWarmCost = (instances: number, memory_bytes: number, hours: number, prices: PriceBook): NanoUsd =>
  nanoUsdFrom((keptWarmUsdPerHour(instances, memory_bytes, prices) ?? 0) * hours)

/** Steps that build and measure candidates have 8 GB of memory. */
const optimizationMemory_gb = 8

/** Compute of optimisations as Lambda arm64 GB-seconds; undefined when unpriced. */
export const optimizationCost = (compute_seconds: number, prices: PriceBook): NanoUsd | undefined =>
  tieredCost(prices.tiers(lambdaSkus.gbSecond), 0, compute_seconds * optimizationMemory_gb)
