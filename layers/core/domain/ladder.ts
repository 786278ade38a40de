import * as z from 'zod'
import { type PriceBook, unitPrice } from './price.ts'
import { type Architecture, lambdaSku, type StorageClassName, sagemakerSku, storedSku } from './skus.ts'

/** One rung of a deployment's ladder from warm to cold: what it costs to stay there, and how long the first request then takes. */
export const Rung = z.object({
  name: z.enum(['warm', 'scaled_to_zero', 'endpoint_removed', 'model_archived']),
  /** List price of keeping it for a month of 730 hours without a request; null when a part of it has no price. */
  usd_per_month: z.number().nullable(),
  /** Seconds until the first answer; an estimate, `wake_basis` says from what. */
  wake_seconds: z.number(),
  wake_basis: z.string(),
  /** Where the price comes from, or why there is none. */
  basis: z.string(),
  /** The deployment stands on this rung now. */
  current: z.boolean(),
})
export type Rung = z.infer<typeof Rung>

const secondsPerMonth = 730 * 3600
const bytesPerGb = 2 ** 30

/**
 * Provisioned concurrency of a Lambda function for a month of 730 hours: `instances` × memory in GB × price per GB-second.
 * Undefined when unpriced.
 */
export const warmLambdaUsdPerMonth = (
  warm: { architecture: Architecture; memory_mb: number; instances: number },
  prices: PriceBook,
): number | undefined => {
  const usd = unitPrice(prices, lambdaSku.provisioned(warm.architecture))
  return usd === undefined ? undefined : warm.instances * (warm.memory_mb / 1024) * secondsPerMonth * usd
}

/** Provisioned concurrency of a SageMaker serverless endpoint for a month; memory in whole gigabytes. Undefined when unpriced. */
export const warmSagemakerServerlessUsdPerMonth = (
  warm: { memory_mb: number; instances: number },
  prices: PriceBook,
): number | undefined => {
  const usd = unitPrice(prices, sagemakerSku.serverlessProvisionedSecond(Math.ceil(warm.memory_mb / 1024)))
  return usd === undefined ? undefined : warm.instances * secondsPerMonth * usd
}

/** Instances of a SageMaker real-time or asynchronous endpoint that run for a month. Undefined when unpriced. */
export const instancesUsdPerMonth = (
  running: { instance_type: string; count: number },
  prices: PriceBook,
): number | undefined => {
  const usd = unitPrice(prices, sagemakerSku.hostingHour(running.instance_type))
  return usd === undefined ? undefined : running.count * 730 * usd
}

/** A file kept in S3 for a month, first tier. Undefined when unpriced. */
export const storedUsdPerMonth = (storage: StorageClassName, size_bytes: number, prices: PriceBook): number | undefined => {
  const usd = unitPrice(prices, storedSku(storage))
  return usd === undefined ? undefined : (size_bytes / bytesPerGb) * usd
}

/** What a rung costs from its parts: null as soon as one part has no price, never a sum that leaves it out. */
export const rungPrice = (...parts: (number | undefined)[]): number | null => {
  let sum = 0
  for (const part of parts) {
    if (part === undefined) return null
    sum += part
  }
  return Math.round(sum * 1e9) / 1e9
}
