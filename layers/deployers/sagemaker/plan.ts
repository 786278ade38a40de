import { PlatformError } from '../../core/contract/errors.ts'
import { type Machine, machines } from '../../core/domain/comparison.ts'
import type { Deployment } from '../../core/domain/deployment.ts'
import { type PriceBook, unitPrice } from '../../core/domain/price.ts'
import { chosenMode, type EndpointMode, wantedOf } from './settings.ts'

/** What is provisioned for a deployment, decided from what it asks for and what that costs. */
export interface Plan {
  mode: EndpointMode
  notes: string[]
  /** Serverless: what it is billed by, 1024 to 6144 in steps of 1024. */
  memory_mb: number
  max_concurrency: number
  provisioned: number
  /** Instance types that fit, cheapest first; the next is tried where the first is not to be had. */
  instance_types: readonly Machine[]
  min_instances: number
  max_instances: number
  target_cpu_utilization: number
  components: boolean
  gpu: boolean
  payload_bytes: number
  timeout_s: number
}

const OVERHEAD_MB = 1024
const MOST_ALTERNATES = 4

export const planOf = (deployment: Deployment, prices: PriceBook): Plan => {
  const wanted = wantedOf(deployment)
  const { mode, note, memory_mb, gpus, cores } = chosenMode(wanted)
  const { min_instances: min, max_instances: max, target_cpu_utilization } = wanted.scaling_policy
  const notes = [note]
  const serverless = mode === 'serverless'
  const types = serverless ? [] : fitting({ cores, memory_mb, gpus }, wanted.metadata.instance_type, prices)
  if (types[0] !== undefined) notes.push(typeNote(types[0], prices))
  if (deployment.cost_optimization_policy.use_spot_instances)
    notes.push('spot instances: SageMaker has them for training jobs only, so this runs on demand')
  const components = mode === 'real_time' && wanted.metadata.scale_to_zero === true
  if (mode === 'real_time' && min === 0 && !components)
    notes.push('min_instances 0: one instance runs while active; hibernation deletes the endpoint and keeps its configuration')
  return {
    mode,
    notes,
    memory_mb: serverless ? Math.max(1, Math.ceil(memory_mb / 1024)) * 1024 : memory_mb,
    max_concurrency: Math.min(200, max),
    provisioned: serverless ? min : 0,
    instance_types: types,
    // Only asynchronous endpoints and components may stand at zero.
    min_instances: mode === 'real_time' && !components ? Math.max(1, min) : min,
    max_instances: Math.max(1, max),
    target_cpu_utilization,
    components,
    gpu: gpus > 0,
    payload_bytes: { serverless: 4, real_time: 6, async: 1000 }[mode] * 1_000_000,
    timeout_s: wanted.resource_requirements.timeout,
  }
}

/** Those that fit with room for the container itself, cheapest first; one without a price comes last, since it may cost anything. */
const fitting = (
  need: { cores: number; memory_mb: number; gpus: number },
  named: string | undefined,
  prices: PriceBook,
): readonly Machine[] => {
  const ours = machines.filter(({ provider }) => provider === 'aws')
  const asked = ours.filter(({ name }) => name === named)
  if (named !== undefined && asked.length > 0) return asked
  if (named !== undefined)
    throw new PlatformError(
      'invalid_request',
      `metadata.instance_type: got ${named}; known: ${ours.map(({ name }) => name).join(', ')}`,
    )
  const price = (one: Machine): number => unitPrice(prices, one.sku) ?? Number.POSITIVE_INFINITY
  const found = ours
    .filter((one) => one.gpus >= need.gpus && (need.gpus > 0 || one.gpus === 0))
    .filter((one) => one.vcpus >= need.cores && one.memory_gib * 1024 >= need.memory_mb + OVERHEAD_MB)
    .sort((a, b) => price(a) - price(b))
  if (found.length > 0) return found.slice(0, MOST_ALTERNATES)
  throw new PlatformError(
    'invalid_request',
    `No SageMaker instance type known here has ${need.cores} vCPU, ${need.memory_mb + OVERHEAD_MB} MB and ${need.gpus} GPU; known: ${ours.map(({ name }) => name).join(', ')}`,
  )
}

const typeNote = (type: Machine, prices: PriceBook): string => {
  const usd = unitPrice(prices, type.sku)
  const cost = usd === undefined ? `unpriced in ${prices.version}` : `$${usd} per hour, price list ${prices.version}`
  return `${type.name}: the cheapest known type with room for model and container (${cost})`
}
