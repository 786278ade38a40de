import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DeployTarget } from '../../layers/core/ports/deployer.ts'
import type { Log } from '../../layers/core/ports/log.ts'
import { type ProcessDeployer, type ProcessDeployerOptions, processDeployer } from '../../layers/deployers/process.ts'
import { startInstance } from '../../layers/serving/instance.ts'
import { writeModel } from './models.ts'

/** A deployment of a model file as a deployer is given it. `id` and `name` default to made-up ones. */
export const deployTarget = (
  model_path: string,
  changes: {
    id?: string
    name?: string
    revision?: number
    timeout?: number
    memory?: string
    max_instances?: number
    min_instances?: number
  } = {},
): DeployTarget => {
  const at = '2026-11-20T00:00:00.000Z'
  return {
    deployment: {
      id: changes.id ?? 'dep_1',
      organization_id: 'org_1',
      name: changes.name ?? 'my model',
      deployment_type: 'serverless',
      model_id: 'mod_1',
      model_type: 'original',
      resource_requirements: { cpu: '1', memory: changes.memory ?? '1Gi', gpu: null, timeout: changes.timeout ?? 30 },
      scaling_policy: {
        min_instances: changes.min_instances ?? 0,
        max_instances: changes.max_instances ?? 2,
        target_cpu_utilization: 70,
      },
      cost_optimization_policy: {
        use_spot_instances: false,
        hibernation_enabled: true,
        hibernation_idle_timeout: 1800,
        multi_cloud_enabled: false,
      },
      endpoint_auth: 'token',
      metadata: {},
      resolved_model_id: 'mod_1',
      status: 'active',
      status_since: at,
      status_reason: null,
      endpoint: null,
      revision: changes.revision ?? 1,
      created_at: at,
      updated_at: at,
      deployer_state: {},
      transition: null,
    },
    model: {
      artifact: model_path,
      file_name: 'model.onnx',
      framework: 'onnx',
      size_bytes: statSync(model_path).size,
      sha256: model_path,
      inspection: null,
    },
  }
}

export const silentLog: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }

export interface DeployerBench {
  dir: string
  deployer: ProcessDeployer
  failures: { deployment_id: string; reason: string }[]
  /** Writes a model file and answers its path. */
  file(name: string, bytes: Uint8Array): string
  end(): Promise<void>
}

/** A process deployer on a folder of its own; artifact keys are file paths. */
export const deployerBench = (changes: Partial<ProcessDeployerOptions> = {}): DeployerBench => {
  const dir = mkdtempSync(join(tmpdir(), 'aideploy-deployer-'))
  const failures: DeployerBench['failures'] = []
  const deployer = processDeployer({
    artifacts: { asFile: async (path) => ({ path, release: async () => undefined }) },
    deployments_dir: join(dir, 'deployments'),
    scratch_dir: join(dir, 'scratch'),
    log: silentLog,
    writeServingForm: async (model_path, out_dir) => {
      copyFileSync(model_path, join(out_dir, 'model.onnx'))
      return { model_path: join(out_dir, 'model.onnx'), files: ['model.onnx'] }
    },
    startInstance,
    on_failed: (deployment_id, reason) => failures.push({ deployment_id, reason }),
    ...changes,
  })
  return {
    dir,
    deployer,
    failures,
    file: (name, bytes) => writeModel(join(dir, 'models', name), bytes),
    end: async () => {
      await deployer.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** `POST <endpoint>` with a JSON body, and the answer as JSON. */
export const predict = async (deployer: ProcessDeployer, target: DeployTarget, body: unknown, path = '') => {
  const reply = await deployer.infer(target, {
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(body)),
    request_id: 'r',
  })
  const pieces: Uint8Array[] = []
  if (reply.body instanceof Uint8Array) pieces.push(reply.body)
  else for await (const piece of reply.body) pieces.push(piece)
  return { status: reply.status, usage: reply.usage, headers: reply.headers, json: JSON.parse(Buffer.concat(pieces).toString()) }
}
