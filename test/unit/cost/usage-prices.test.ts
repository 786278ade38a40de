import { describe, expect, it } from 'vitest'
import { billedMemory_mb, type ChargedUsage, priceUsage } from '../../../layers/core/domain/cost.ts'
import { footprintOf } from '../../../layers/core/domain/footprint.ts'
import {
  instancesUsdPerMonth,
  rungPrice,
  storedUsdPerMonth,
  warmLambdaUsdPerMonth,
  warmSagemakerServerlessUsdPerMonth,
} from '../../../layers/core/domain/ladder.ts'
import { usdFrom } from '../../../layers/core/domain/money.ts'
import { usageMeter } from '../../../layers/core/usecases/meter-usage.ts'
import { readUsage } from '../../../layers/core/usecases/read-usage.ts'
import { snapshotPrices } from '../../../layers/pricing/snapshot.ts'
import { clockAt, listeningLog, sampleAt, scratchRecords } from '../../support/usage.ts'

const prices = snapshotPrices()
const month = { billed_mb_ms: 0, bytes_out: 0 }
const gib = 2 ** 30

/** A million requests of 100 ms at 2 GB: 200,000 GB-seconds; 1 GB in, 2 GB out. */
const usage = (changes: Partial<ChargedUsage> = {}): ChargedUsage => ({
  deployment_type: 'serverless',
  requests: 1_000_000,
  billed_mb_ms: 1e6 * 100 * billedMemory_mb(2 * gib),
  bytes_in: gib,
  bytes_out: 2 * gib,
  memory_limit_bytes: 2 * gib,
  ...changes,
})
const priced = (changes: Partial<ChargedUsage>) => {
  const { cost, basis, unpriced } = priceUsage(usage(changes), month, prices)
  return { compute: usdFrom(cost.compute), requests: usdFrom(cost.requests), network: usdFrom(cost.network), basis, unpriced }
}

describe('usage on AWS', () => {
  it.each([
    ['arm64 without a footprint', undefined, 200_000 * 0.0000133334],
    ['x86', { architecture: 'x86_64' }, 200_000 * 0.0000166667],
    ['2.5 GB of disk, of which 512 MB are free', { ephemeral_mb: 2560 }, 200_000 * 0.0000133334 + 100_000 * 2 * 3.09e-8],
    ['512 MB of disk', { ephemeral_mb: 512 }, 200_000 * 0.0000133334],
    ['provisioned concurrency', { provisioned: 1 }, 200_000 * 7.7778e-6],
  ] as const)('Lambda: %s', (_, footprint, compute) => {
    const found = priced({ footprint })
    expect(found.compute).toBeCloseTo(compute, 6)
    expect(found).toMatchObject({ requests: 0.2, network: 0.18, unpriced: undefined })
  })

  it('SageMaker: serverless by second and data, instances by data only, beside their hours', () => {
    const serverless = priced({ deployment_type: 'sagemaker', footprint: { endpoint_mode: 'serverless', memory_mb: 2048 } })
    expect(serverless).toMatchObject({ compute: 100_000 * 4e-5, requests: 3 * 0.016, network: 0.18 })
    expect(serverless.basis).toContain('2 GB')
    const instances = priced({
      deployment_type: 'sagemaker',
      footprint: { endpoint_mode: 'real_time', instance_type: 'ml.m5.large' },
    })
    expect(instances).toMatchObject({ compute: 0, requests: 3 * 0.016 })
    expect(instances.basis).toContain('by the hour')
    expect(priced({ deployment_type: 'sagemaker' }).unpriced).toContain('sagemaker')
    const huge = priced({ deployment_type: 'sagemaker', footprint: { endpoint_mode: 'serverless', memory_mb: 9000 } })
    expect(huge.unpriced).toContain('9 GB')
  })

  it('reaches the row: a meter charges what the deployer provisioned', async () => {
    const clock = clockAt('2026-11-20T10:00:30Z')
    const records = scratchRecords(clock.now)
    const meter = usageMeter({ records, prices, now: clock.now, log: listeningLog() })
    const footprint = footprintOf({ architecture: 'x86_64', memory_mb: 2048, folder: 'ignored' })
    expect(footprint).toBe(footprintOf({ architecture: 'x86_64', memory_mb: 2048 }))
    meter.record(sampleAt(clock.now().getTime(), { compute_us: 1_000_000, bytes_out: 0, footprint }))
    await meter.flush()
    const now_ms = clock.now().getTime()
    const [row] = await readUsage(records, 'dep_1', { from_ms: now_ms - 3_600_000, to_ms: now_ms + 60_000 }, 'hour', now_ms)
    expect(usdFrom(row?.cost.compute ?? 0n)).toBeCloseTo(2 * 0.0000166667, 9)
    expect(row?.cost_bases).toEqual(['AWS Lambda x86_64 us-east-1'])
  })
})

describe('rungs of the ladder', () => {
  it('cost what the price list says for a month of 730 hours', () => {
    expect(warmLambdaUsdPerMonth({ architecture: 'arm64', memory_mb: 1024, instances: 1 }, prices)).toBeCloseTo(8.76, 2)
    expect(warmSagemakerServerlessUsdPerMonth({ memory_mb: 2048, instances: 1 }, prices)).toBeCloseTo(26.28, 2)
    expect(instancesUsdPerMonth({ instance_type: 'ml.m5.large', count: 2 }, prices)).toBeCloseTo(167.9, 1)
    expect(storedUsdPerMonth('standard', 10 * gib, prices)).toBeCloseTo(0.23, 6)
    expect(storedUsdPerMonth('glacier-ir', 10 * gib, prices)).toBeCloseTo(0.04, 6)
  })

  it('have no price as soon as one part has none', () => {
    expect(instancesUsdPerMonth({ instance_type: 'ml.zz9.large', count: 1 }, prices)).toBeUndefined()
    expect(rungPrice(1, undefined, 2)).toBeNull()
    expect(rungPrice(0.1, 0.2)).toBe(0.3)
    expect(rungPrice()).toBe(0)
  })
})
