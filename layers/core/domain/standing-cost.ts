import { hoursPerMonth } from './comparison.ts'
import type { Deployment } from './deployment.ts'
import { type Footprint, footprintOf } from './footprint.ts'
import { instancesUsdPerMonth, warmLambdaUsdPerMonth, warmSagemakerServerlessUsdPerMonth } from './ladder.ts'
import type { PriceBook } from './price.ts'

/** What a deployment costs by the hour while it is awake, whether anybody calls it or not. */
export interface StandingCost {
  usd_per_hour: number
  lines: { what: string; usd_per_hour: number }[]
  /** Where the figure comes from, without the price version. */
  basis: string
}
export type StandingPrice = StandingCost | { unpriced: string }

const nothing = (basis: string): StandingCost => ({ usd_per_hour: 0, lines: [], basis })

const line = (what: string, usd_per_month: number | undefined, prices: PriceBook): StandingPrice => {
  if (usd_per_month === undefined) return { unpriced: `price list ${prices.version} has no price for ${what}` }
  const usd_per_hour = usd_per_month / hoursPerMonth
  return { usd_per_hour, lines: [{ what, usd_per_hour }], basis: what }
}

const lambda = ({ architecture = 'arm64', memory_mb = 0, provisioned = 0 }: Footprint, prices: PriceBook): StandingPrice => {
  if (provisioned === 0) return nothing('a Lambda function without provisioned concurrency costs nothing between requests')
  const what = `${provisioned} × ${memory_mb} MB provisioned concurrency, AWS Lambda ${architecture} us-east-1`
  return line(what, warmLambdaUsdPerMonth({ architecture, memory_mb, instances: provisioned }, prices), prices)
}

const sagemaker = (footprint: Footprint, prices: PriceBook): StandingPrice => {
  const { endpoint_mode, instance_type, instance_count = 1, memory_mb = 0, provisioned = 0 } = footprint
  if (endpoint_mode === 'serverless') {
    if (provisioned === 0)
      return nothing('a SageMaker serverless endpoint without provisioned concurrency costs nothing between requests')
    const what = `${provisioned} × ${memory_mb} MB provisioned concurrency, SageMaker serverless us-east-1`
    return line(what, warmSagemakerServerlessUsdPerMonth({ memory_mb, instances: provisioned }, prices), prices)
  }
  if (instance_type === undefined) return { unpriced: 'its deployer names no instance type' }
  const what = `${instance_count} × ${instance_type}, SageMaker ${endpoint_mode === 'async' ? 'asynchronous' : 'real-time'} us-east-1`
  return line(what, instancesUsdPerMonth({ instance_type, count: instance_count }, prices), prices)
}

/**
 * Standing cost from what the deployer remembers. A process on the platform's own machine has none: its memory belongs to a machine
 * that is paid anyway and has no list price. A type nobody knows is unpriced, never free.
 */
export const standingCost = (
  { deployment_type, deployer_state }: Pick<Deployment, 'deployment_type' | 'deployer_state'>,
  prices: PriceBook,
): StandingPrice => {
  const footprint = footprintOf(deployer_state)
  if (deployment_type === 'sagemaker')
    return footprint === undefined ? { unpriced: 'it has no endpoint on record' } : sagemaker(footprint, prices)
  if (deployment_type !== 'serverless') return { unpriced: `no price is known for deployment type ${deployment_type}` }
  return footprint === undefined
    ? nothing('it runs as processes of the platform’s own machine, whose memory has no list price')
    : lambda(footprint, prices)
}

/** Standing cost in USD an hour where the deployer says what it provisioned; undefined where it does not, or where that has no price. */
export const provisionedUsdPerHour = (
  deployment: Pick<Deployment, 'deployment_type' | 'deployer_state'>,
  prices: PriceBook,
): number | undefined => {
  if (footprintOf(deployment.deployer_state) === undefined) return undefined
  const cost = standingCost(deployment, prices)
  return 'unpriced' in cost ? undefined : cost.usd_per_hour
}
