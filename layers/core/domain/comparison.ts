import { type NanoUsd, nanoUsdFrom } from './money.ts'
import { type PriceBook, tieredCost, unitPrice } from './price.ts'

export const cloudProviders = ['aws', 'azure', 'gcp'] as const
export type CloudProvider = (typeof cloudProviders)[number]

/** A machine of a managed inference endpoint. Shapes as the vendors publish them; the hourly price is in the price book under `sku`. */
export interface Machine {
  provider: CloudProvider
  name: string
  sku: string
  vcpus: number
  memory_gib: number
  gpus: number
}

const machine =
  (provider: CloudProvider, service: string) =>
  (name: string, vcpus: number, memory_gib: number, gpus = 0): Machine => ({
    provider,
    name,
    sku: `${provider}/${service}/${name}/hour`,
    vcpus,
    memory_gib,
    gpus,
  })
const sagemaker = machine('aws', 'sagemaker/real-time')
const azureMl = machine('azure', 'managed-online-endpoint')
const vertex = machine('gcp', 'vertex-prediction')

export const machines: readonly Machine[] = [
  sagemaker('ml.t2.medium', 2, 4),
  sagemaker('ml.c5.large', 2, 4),
  sagemaker('ml.m5.large', 2, 8),
  sagemaker('ml.c5.xlarge', 4, 8),
  sagemaker('ml.m5.xlarge', 4, 16),
  sagemaker('ml.c5.2xlarge', 8, 16),
  sagemaker('ml.m5.2xlarge', 8, 32),
  sagemaker('ml.m5.4xlarge', 16, 64),
  sagemaker('ml.m5.12xlarge', 48, 192),
  sagemaker('ml.c5.4xlarge', 16, 32),
  sagemaker('ml.c5.9xlarge', 36, 72),
  sagemaker('ml.c5.18xlarge', 72, 144),
  sagemaker('ml.m5.24xlarge', 96, 384),
  sagemaker('ml.g4dn.xlarge', 4, 16, 1),
  sagemaker('ml.g5.xlarge', 4, 16, 1),
  sagemaker('ml.g4dn.2xlarge', 8, 32, 1),
  sagemaker('ml.g4dn.12xlarge', 48, 192, 4),
  sagemaker('ml.g5.2xlarge', 8, 32, 1),
  sagemaker('ml.g5.12xlarge', 48, 192, 4),
  azureMl('F2s_v2', 2, 4),
  azureMl('DS2_v2', 2, 7),
  azureMl('F4s_v2', 4, 8),
  azureMl('DS3_v2', 4, 14),
  azureMl('F8s_v2', 8, 16),
  azureMl('DS4_v2', 8, 28),
  azureMl('DS5_v2', 16, 56),
  azureMl('NC4as_T4_v3', 4, 28, 1),
  vertex('e2-standard-2', 2, 8),
  vertex('n1-standard-2', 2, 7.5),
  vertex('e2-standard-4', 4, 16),
  vertex('n1-standard-4', 4, 15),
  vertex('e2-standard-8', 8, 32),
  vertex('n1-standard-8', 8, 30),
  vertex('n1-standard-16', 16, 60),
  vertex('n1-standard-4+t4', 4, 15, 1),
]

const endpointNames = {
  aws: 'SageMaker real-time endpoint us-east-1',
  azure: 'Azure ML managed online endpoint East US',
  gcp: 'Vertex AI prediction us-central1',
}
const networkSku = { aws: 'aws/data-transfer/out/gb', azure: 'azure/data-transfer/out/gb', gcp: 'gcp/data-transfer/out/gb' }
const storageSku = { aws: 'aws/s3/standard/gb-month', azure: 'azure/blob/hot-lrs/gb-month', gcp: 'gcp/storage/standard/gb-month' }

export const hoursPerMonth = 730
const bytesPerGb = 2 ** 30

/** What a deployment needs and how much of it there was. */
export interface Workload {
  deployment_id: string
  cores: number
  memory_bytes: number
  gpus: number
  /** Mean busy cores in its busiest hour. */
  busiest_cores: number
  /** Share of a machine's cores to plan for, 0–1. */
  target_utilization: number
  hours: number
  bytes_out: number
  model_byte_hours: number
}

export type Quote = { cost: NanoUsd; machine: string; count: number } | { unpriced: string }

/** The cheapest priced machine that fits, with its price per hour. */
export const smallestFit = (
  provider: CloudProvider,
  need: Pick<Workload, 'cores' | 'memory_bytes' | 'gpus'>,
  prices: PriceBook,
): { machine: Machine; usd_per_hour: number } | undefined =>
  machines
    .filter((one) => one.provider === provider && one.gpus >= need.gpus && (need.gpus > 0 || one.gpus === 0))
    .filter((one) => one.vcpus >= need.cores && one.memory_gib * 2 ** 30 >= need.memory_bytes)
    .flatMap((one) => {
      const usd_per_hour = unitPrice(prices, one.sku)
      return usd_per_hour === undefined ? [] : [{ machine: one, usd_per_hour }]
    })
    .sort((a, b) => a.usd_per_hour - b.usd_per_hour)[0]

/**
 * What the same workload costs on an endpoint that is always on: as many machines as its busiest hour needs, at least one, for
 * every hour the deployment existed, plus the same data out and stored model. Bursts within an hour are not counted against it.
 */
export const quoteAlwaysOn = (provider: CloudProvider, work: Workload, prices: PriceBook): Quote => {
  const fit = smallestFit(provider, work, prices)
  const need = `${work.cores} vCPU, ${Math.ceil(work.memory_bytes / 2 ** 20)} MiB${work.gpus ? `, ${work.gpus} GPU` : ''}`
  if (!fit) return { unpriced: `price list ${prices.version} has no ${endpointNames[provider]} machine with ${need}` }
  const network = tieredCost(prices.tiers(networkSku[provider]), 0, work.bytes_out / bytesPerGb)
  const storage = tieredCost(prices.tiers(storageSku[provider]), 0, work.model_byte_hours / bytesPerGb / hoursPerMonth)
  if (network === undefined || storage === undefined)
    return { unpriced: `price list ${prices.version} has no ${provider} price for data out or storage` }
  const count = Math.max(1, Math.ceil(work.busiest_cores / (fit.machine.vcpus * work.target_utilization)))
  return { cost: nanoUsdFrom(fit.usd_per_hour * count * work.hours) + network + storage, machine: fit.machine.name, count }
}

export interface ProviderComparison {
  /** Undefined when any part has no price. */
  cost: NanoUsd | undefined
  basis: string
}

/** All workloads on one provider; one that cannot be priced leaves the whole unpriced, with its reason. */
export const compareWith = (provider: CloudProvider, works: readonly Workload[], prices: PriceBook): ProviderComparison => {
  const counts = new Map<string, number>()
  let cost: NanoUsd = 0n
  for (const work of works) {
    const quote = quoteAlwaysOn(provider, work, prices)
    if ('unpriced' in quote) return { cost: undefined, basis: `unpriced: deployment ${work.deployment_id}: ${quote.unpriced}` }
    cost += quote.cost
    counts.set(quote.machine, (counts.get(quote.machine) ?? 0) + quote.count)
  }
  const fleet = [...counts].map(([name, count]) => `${count} × ${name}`).join(', ')
  return {
    cost,
    basis: `the same traffic on the smallest fitting always-on ${endpointNames[provider]} (${fleet || 'no deployments'}) for the hours each deployment existed, price list ${prices.version}`,
  }
}

/** How much less ours costs, percent of theirs; negative when ours costs more, null when it cannot be said. */
export const savingsPercentage = (ours: NanoUsd, theirs: NanoUsd | undefined): number | null =>
  theirs === undefined || theirs === 0n ? null : Math.round((Number(theirs - ours) / Number(theirs)) * 10_000) / 100
