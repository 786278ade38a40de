import { type Rung, rungPrice, storedUsdPerMonth, warmLambdaUsdPerMonth } from '../../core/domain/ladder.ts'
import type { PriceBook } from '../../core/domain/price.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import { lambdaSize } from './settings.ts'
import { stateOf } from './state.ts'

/** One connection to S3 from Lambda, and how many the function opens at once. */
const bytesPerSecond = 55e6
const ranges = 8
/** A fresh environment with runtime and native module, without a model. */
const start_s = 0.6
const warm_s = 0.01

/** Seconds from nothing to a loaded model: as the probe measured it, else from the model's size. */
const wakeOf = (wake_ms: number, size_bytes: number): { seconds: number; basis: string } =>
  wake_ms > 0
    ? { seconds: wake_ms / 1000, basis: 'measured when this revision was brought up' }
    : {
        seconds: start_s + size_bytes / (bytesPerSecond * ranges),
        basis: `estimate: ${start_s} s to start, then ${Math.ceil(size_bytes / 1e6)} MB over ${ranges} connections of ${bytesPerSecond / 1e6} MB/s`,
      }

/** Three rungs: the address stays on every one, so there is none without it. Logs are not counted: they are past requests' cost. */
export const lambdaLadder = (target: DeployTarget, prices: PriceBook): Rung[] => {
  const { deployment, model } = target
  const state = stateOf(deployment.deployer_state)
  const { architecture, memory_mb } = state ?? lambdaSize(target)
  const serving_bytes = state?.serving_bytes ?? model.size_bytes
  const instances = Math.max(1, deployment.scaling_policy.min_instances)
  const wake = wakeOf(state?.wake_ms ?? 0, serving_bytes)
  const stored = storedUsdPerMonth('standard', serving_bytes + model.size_bytes, prices)
  const isWarm = deployment.status === 'active' && deployment.scaling_policy.min_instances > 0
  const round = (seconds: number): number => Math.round(seconds * 1000) / 1000
  const list = `price list ${prices.version}`
  return [
    {
      name: 'warm',
      usd_per_month: rungPrice(warmLambdaUsdPerMonth({ architecture, memory_mb, instances }, prices), stored),
      wake_seconds: warm_s,
      wake_basis: 'estimate: an instance is there',
      basis: `${instances} × ${memory_mb} MB of AWS Lambda ${architecture} provisioned concurrency, and its files in S3; ${list}`,
      current: isWarm,
    },
    {
      name: 'scaled_to_zero',
      usd_per_month: rungPrice(stored),
      wake_seconds: round(wake.seconds),
      wake_basis: wake.basis,
      basis: `its files in S3 Standard; function, alias and address cost nothing; ${list}`,
      current: !isWarm,
    },
    {
      name: 'model_archived',
      usd_per_month: rungPrice(
        storedUsdPerMonth('glacier-ir', model.size_bytes, prices),
        storedUsdPerMonth('standard', serving_bytes, prices),
      ),
      wake_seconds: round(wake.seconds),
      wake_basis: `${wake.basis}; the uploaded file is not read to wake`,
      basis: `the uploaded file in S3 Glacier Instant Retrieval, its serving form in S3 Standard; ${list}`,
      current: false,
    },
  ]
}
