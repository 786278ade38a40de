import { footprintOf } from '../../layers/core/domain/footprint.ts'
import type { PriceBook } from '../../layers/core/domain/price.ts'
import type { InferenceSample } from '../../layers/core/domain/usage.ts'
import { usageMeter } from '../../layers/core/usecases/meter-usage.ts'
import type { Answer } from './answer.ts'
import type { ModelRequest } from './call.ts'
import { environment } from './environment.ts'
import { log } from './log.ts'
import { now, records } from './parts.ts'

/**
 * Rows are written when an invocation has ended, because afterwards Lambda may freeze this process for good: at once after a quiet time,
 * in a burst every ten seconds or, from five seconds on, every 60 requests. What a burst's last seconds leave goes out with SIGTERM,
 * which Lambda sends where an extension is registered.
 */
const apart_ms = 10_000
const least_apart_ms = 5_000
const full = 60

let list: PriceBook | undefined
/** The list that ships with the function: it may not read the platform's catalogue. Read at the first flush. */
const prices: PriceBook = {
  get version() {
    return list?.version ?? 'none'
  },
  tiers: (sku, region) => list?.tiers(sku, region) ?? [],
  load: async () => {
    list ??= (await import('../../layers/pricing/snapshot.ts')).snapshotPrices()
  },
}

const meter = usageMeter({ records, prices, now, log })
const memory_limit_bytes = environment.AIDEPLOY_MEMORY_LIMIT_BYTES
const facts = {
  organization_id: environment.AIDEPLOY_ORGANIZATION,
  deployment_id: environment.AIDEPLOY_DEPLOYMENT,
  deployment_type: environment.AIDEPLOY_DEPLOYMENT_TYPE,
  revision: environment.AIDEPLOY_REVISION,
  memory_limit_bytes,
  footprint: footprintOf({
    architecture: process.arch === 'arm64' ? 'arm64' : 'x86_64',
    memory_mb: memory_limit_bytes / 2 ** 20,
    ephemeral_mb: environment.AIDEPLOY_EPHEMERAL_MB,
  }),
}

let unwritten = 0
let flushed_ms = -Infinity

export const recordUsage = (request: ModelRequest, answer: Answer, latency_us: number, cut: boolean): void => {
  const sample: InferenceSample = {
    ...facts,
    ...answer.usage,
    at_ms: now().getTime(),
    latency_us,
    error: cut || answer.status >= 500,
    bytes_in: request.body.length,
    bytes_out: answer.body.reduce((sum, piece) => sum + piece.length, 0),
  }
  meter.record(sample)
  unwritten += 1
}

export const flushUsage = async (): Promise<void> => {
  unwritten = 0
  flushed_ms = performance.now()
  await meter.flush()
}

/** Writes what is due. */
export const flushDueUsage = async (): Promise<void> => {
  const since_ms = performance.now() - flushed_ms
  const due = since_ms >= apart_ms || (unwritten >= full && since_ms >= least_apart_ms)
  if (unwritten > 0 && due) await flushUsage()
}
