import type { Deployment } from '../../layers/core/domain/deployment.ts'
import type { Model } from '../../layers/core/domain/model.ts'
import type { OptimizedModel } from '../../layers/core/domain/optimization.ts'
import type { Principal } from '../../layers/core/domain/principal.ts'
import type { Records } from '../../layers/core/ports/records.ts'
import { usageMeter } from '../../layers/core/usecases/meter-usage.ts'
import { rollUpUsage } from '../../layers/core/usecases/roll-up-usage.ts'
import { snapshotPrices } from '../../layers/pricing/snapshot.ts'
import { clockAt, listeningLog, scratchRecords } from './usage.ts'

export const viewer: Principal = { kind: 'user', id: 'usr_1', name: 'ada', organization_id: 'org_1', role: 'viewer' }

export const deploymentOf = (id: string, changes: Partial<Deployment> = {}): Deployment => ({
  id,
  organization_id: 'org_1',
  name: `${id}-name`,
  deployment_type: 'serverless',
  model_id: 'mod_1',
  model_type: 'original',
  resolved_model_id: 'mod_1',
  resource_requirements: { cpu: '1', memory: '2Gi', gpu: null, timeout: 30 },
  scaling_policy: { min_instances: 0, max_instances: 5, target_cpu_utilization: 70 },
  cost_optimization_policy: {
    use_spot_instances: false,
    hibernation_enabled: true,
    hibernation_idle_timeout: 1800,
    multi_cloud_enabled: false,
  },
  endpoint_auth: 'token',
  metadata: {},
  status: 'active',
  status_since: '2026-11-01T00:00:00.000Z',
  status_reason: null,
  endpoint: `http://127.0.0.1/deployments/${id}/inference`,
  revision: 1,
  created_at: '2026-11-01T00:00:00.000Z',
  updated_at: '2026-11-01T00:00:00.000Z',
  deployer_state: {},
  transition: null,
  ...changes,
})

export const modelOf = (id: string, changes: Partial<Model> = {}): Model => ({
  id,
  organization_id: 'org_1',
  name: id,
  framework: 'onnx',
  version: '1',
  status: 'active',
  storage_path: `models/org_1/${id}/model.onnx`,
  file_name: 'model.onnx',
  size_bytes: 2 ** 30,
  sha256: '0'.repeat(64),
  inspection: null,
  created_at: '2026-11-01T00:00:00.000Z',
  updated_at: '2026-11-01T00:00:00.000Z',
  metadata: {},
  ...changes,
})

/** A completed optimisation whose file has 1 GiB. */
export const optimizedOf = (id: string, original_model_id: string): OptimizedModel => ({
  id,
  organization_id: 'org_1',
  original_model_id,
  optimization_method: 'quantization',
  status: 'completed',
  storage_path: `optimizations/org_1/${id}/model.onnx`,
  size_reduction_percentage: 75,
  latency_reduction_percentage: 10,
  accuracy_change_percentage: null,
  accuracy_source: 'none',
  target_met: null,
  created_at: '2026-11-01T00:00:00.000Z',
  updated_at: '2026-11-01T00:00:00.000Z',
  metadata: {},
  target_size_bytes: null,
  target_latency_ms: null,
  target: 'this-machine',
  time_budget_s: null,
  calibration_artifact: null,
  evaluation_artifact: null,
  accuracy_gate: null,
  task: null,
  plan: [],
  attempts: [],
  size_bytes: 2 ** 30,
  sha256: '0'.repeat(64),
  compute_seconds: 0,
})

/** The part of an app that analytics needs, over real records, at 2026-11-20 12:00 until told otherwise. */
export const analyticsApp = (at = '2026-11-20T12:00:00.000Z') => {
  const clock = clockAt(at)
  const records = scratchRecords(clock.now)
  const log = listeningLog()
  const prices = snapshotPrices()
  const meter = usageMeter({ records, prices, now: clock.now, log })
  return { clock, records, log, prices, meter, now: clock.now, rollUp: () => rollUpUsage({ records, log, now: clock.now }) }
}

export const store = async (records: Records, kind: string, ...documents: { id: string; organization_id: string }[]) => {
  for (const document of documents) {
    const body = JSON.parse(JSON.stringify(document))
    await records.write([{ put: { pk: `org#${document.organization_id}`, sk: `${kind}#${document.id}`, body }, expect: 'any' }])
  }
}
