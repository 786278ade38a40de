import type { InferenceCost, Measurement } from './optimization.ts'
import { type ServingTarget, servingTarget } from './optimization-target.ts'
import { type PriceBook, unitPrice } from './price.ts'
import { type Architecture, lambdaSku } from './skus.ts'

/** Memory of one vCPU on Lambda, where CPU comes with memory; below it a single thread has only a share of one. */
const MB_OF_A_CORE = 1769
/** Memory sizes of a function that are told apart here, MB. */
const memorySizes_mb = [128, 256, 512, 1024, 2048, 3072, 4096, 6144, 8192, 10_240]
/** Room above what the model was seen to take. */
const MEMORY_ROOM = 1.3
/** Node 24 with onnxruntime loaded is resident with 52 MB before any model, the serving code and Lambda's own part with as much again. */
const RUNTIME_MB = 100
const MB = 2 ** 20
const INFERENCES = 1000

type Sides = { original: Measurement; candidate: Measurement }

/**
 * USD for 1,000 inferences, one after another and one row each, at the measured p50, by list price without free tier. Null where a
 * part of it has no price or the memory is unknown, never 0. `measured_on` is the architecture the latencies come from.
 */
export function inferenceCost(
  target: string,
  { original, candidate }: Sides,
  { prices, measured_on }: { prices: PriceBook; measured_on: string },
): InferenceCost {
  const where = servingTarget(target)
  if (where?.kind !== 'lambda') {
    const basis = 'this machine is paid anyway and has no list price'
    return { target, original_usd: null, candidate_usd: null, basis }
  }
  const sides = { original: onLambda(where, original, prices), candidate: onLambda(where, candidate, prices) }
  return {
    target,
    original_usd: sides.original.usd,
    candidate_usd: sides.candidate.usd,
    basis: basisOf(where, sides, { prices, measured_on }),
  }
}

type LambdaTarget = Extract<ServingTarget, { kind: 'lambda' }>
interface Priced {
  usd: number | null
  memory_mb: number | undefined
}

function onLambda({ architecture, memory_mb: asked_mb }: LambdaTarget, measured: Measurement, prices: PriceBook): Priced {
  const memory_mb = asked_mb ?? memoryFor(measured)
  const per_gb_second = unitPrice(prices, lambdaSku.gbSecond(architecture))
  const per_request = unitPrice(prices, lambdaSku.request)
  if (memory_mb === undefined || per_gb_second === undefined || per_request === undefined) return { usd: null, memory_mb }
  const slowdown = Math.max(1, MB_OF_A_CORE / memory_mb)
  const billed_s = Math.ceil(measured.p50_ms * slowdown) / 1000
  const usd = INFERENCES * (billed_s * (memory_mb / 1024) * per_gb_second + per_request)
  return { usd: Number(usd.toPrecision(6)), memory_mb }
}

/** The smallest size that holds what the model took, with room, besides the runtime; undefined where that is unknown or too much. */
const memoryFor = ({ rss_bytes }: Measurement): number | undefined =>
  rss_bytes === undefined ? undefined : memorySizes_mb.find((size) => size >= (rss_bytes / MB) * MEMORY_ROOM + RUNTIME_MB)

const basisOf = (
  { architecture }: LambdaTarget,
  { original, candidate }: { original: Priced; candidate: Priced },
  { prices, measured_on }: { prices: PriceBook; measured_on: string },
): string => {
  const unknown = original.memory_mb === undefined || candidate.memory_mb === undefined
  const memory = unknown ? 'memory unknown' : `${original.memory_mb} MB, candidate ${candidate.memory_mb} MB`
  const unpriced = [lambdaSku.gbSecond(architecture), lambdaSku.request].filter((sku) => unitPrice(prices, sku) === undefined)
  return [
    `AWS Lambda ${architecture} us-east-1 (${memory}), ${unpriced.length > 0 ? `no price for ${unpriced.join(' and ')} in ` : ''}price list ${prices.version}`,
    `p50 of one thread, of which less than ${MB_OF_A_CORE} MB gives a share`,
    ...(architectureOf(measured_on) === architecture ? [] : [`the latency was measured on ${measured_on}, not there`]),
  ].join('; ')
}

/** Node's and Lambda's names of the same architectures. */
const architectureOf = (name: string): Architecture | undefined =>
  name === 'arm64' ? 'arm64' : name === 'x64' || name === 'x86_64' ? 'x86_64' : undefined
