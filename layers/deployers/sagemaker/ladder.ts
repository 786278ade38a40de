import {
  instancesUsdPerMonth,
  type Rung,
  rungPrice,
  storedUsdPerMonth,
  warmSagemakerServerlessUsdPerMonth,
} from '../../core/domain/ladder.ts'
import type { PriceBook } from '../../core/domain/price.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import { planOf } from './plan.ts'
import { stateOf } from './state.ts'

/** AWS names no figures: a serverless container starts in seconds, an instance is provisioned within minutes. */
const serverless_start_s = 10
const instance_start_s = 300
const load_bytes_per_s = 50_000_000
const cold_class_s = 5
const basis_of_wake = 'estimate: containers start within 10 s, instances within 5 minutes, models load at 50 MB/s'

/** What keeping the deployment costs from warm to cold. The model's archive is in the bucket on every rung. */
export const sagemakerLadder = ({ deployment, model }: DeployTarget, prices: PriceBook): Rung[] => {
  const plan = planOf(deployment, prices)
  const state = stateOf(deployment)
  const load_s = model.size_bytes / load_bytes_per_s
  const files = storedUsdPerMonth('standard', 2 * model.size_bytes, prices)
  const type = state?.instance_type ?? plan.instance_types[0]?.name
  const serverless = plan.mode === 'serverless'
  const warm = serverless
    ? warmSagemakerServerlessUsdPerMonth({ memory_mb: plan.memory_mb, instances: Math.max(1, plan.provisioned) }, prices)
    : instancesUsdPerMonth({ instance_type: type ?? '', count: Math.max(1, plan.min_instances) }, prices)
  const up = deployment.status === 'active'
  const keeps = serverless ? plan.provisioned > 0 : plan.min_instances > 0
  const rung = (name: Rung['name'], usd: number | null, start_s: number, current: boolean): Rung => ({
    name,
    usd_per_month: usd,
    wake_seconds: Math.round(start_s * 10) / 10,
    wake_basis: start_s === 0 ? 'measured: nothing has to start' : basis_of_wake,
    basis: `price list ${prices.version}, ${serverless ? `${plan.memory_mb} MB serverless` : (type ?? 'no type fits')}`,
    current,
  })
  const start_s = serverless ? serverless_start_s : instance_start_s
  const scales = serverless || plan.mode === 'async' || plan.components
  return [
    rung('warm', rungPrice(warm, files), 0, up && keeps),
    ...(scales ? [rung('scaled_to_zero', rungPrice(files), start_s + load_s, up && !keeps)] : []),
    rung('endpoint_removed', rungPrice(files), instance_start_s + load_s, !up),
    rung(
      'model_archived',
      rungPrice(storedUsdPerMonth('glacier-ir', 2 * model.size_bytes, prices)),
      instance_start_s + load_s + cold_class_s,
      false,
    ),
  ]
}
