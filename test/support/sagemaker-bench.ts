import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling'
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch'
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs'
import { IAMClient } from '@aws-sdk/client-iam'
import { SageMakerClient } from '@aws-sdk/client-sagemaker'
import { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime'
import { PlatformError } from '../../layers/core/contract/errors.ts'
import type { Deployment } from '../../layers/core/domain/deployment.ts'
import type { Inspection } from '../../layers/core/domain/model.ts'
import type { Artifacts } from '../../layers/core/ports/artifacts.ts'
import type { DeployTarget } from '../../layers/core/ports/deployer.ts'
import type { SagemakerParts } from '../../layers/deployers/sagemaker/parts.ts'
import { sagemakerDeployer } from '../../layers/deployers/sagemaker.ts'
import { snapshotPrices } from '../../layers/pricing/snapshot.ts'
import { deployTarget, silentLog } from './deployments.ts'
import { writeModel } from './models.ts'

/** Artifacts in memory, as far as the deployer needs them; files are written out on demand. */
export const memoryArtifacts = (dir: string) => {
  const kept = new Map<string, Buffer>()
  const artifacts: Pick<Artifacts, 'asFile' | 'put' | 'read' | 'stat' | 'remove' | 'list'> = {
    put: async (key, body, expected = {}) => {
      const pieces: Uint8Array[] = []
      for await (const piece of body) pieces.push(piece)
      const whole = Buffer.concat(pieces)
      const info = { size_bytes: whole.length, sha256: createHash('sha256').update(whole).digest('hex') }
      if ((expected.sha256 ?? info.sha256) !== info.sha256 || (expected.size_bytes ?? info.size_bytes) !== info.size_bytes)
        throw new PlatformError('upload_incomplete', `Artifact ${key} is not what was announced`)
      kept.set(key, whole)
      return info
    },
    read: async (key) => {
      const found = kept.get(key)
      if (!found) throw new PlatformError('not_found', `Artifact ${key} was not found`)
      return Readable.from([found])
    },
    stat: async (key) => {
      const found = kept.get(key)
      return found && { size_bytes: found.length }
    },
    remove: async (key) => void kept.delete(key),
    list: async (prefix) => [...kept.keys()].filter((key) => key.startsWith(prefix)),
    asFile: async (key) => {
      const found = kept.get(key)
      if (!found) throw new PlatformError('not_found', `Artifact ${key} was not found`)
      const path = join(dir, `file-${Math.random()}`)
      writeFileSync(path, found)
      return { path, release: async () => rmSync(path, { force: true }) }
    },
  }
  return { kept, artifacts }
}

/** A SageMaker deployer against a loopback endpoint, with artifacts in memory. */
export const sagemakerBench = (endpoint: string, changes: Partial<SagemakerParts> = {}, maxAttempts = 1) => {
  const dir = mkdtempSync(join(tmpdir(), 'sagemaker-'))
  const { kept, artifacts } = memoryArtifacts(dir)
  const settings = { endpoint, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' }, maxAttempts }
  const parts: SagemakerParts = {
    ...{ partition: 'aws', region: 'us-east-1', account: '123456789012', stage: 'dev', bucket: 'bucket' },
    clients: {
      sagemaker: () => new SageMakerClient(settings),
      runtime: () => new SageMakerRuntimeClient(settings),
      iam: () => new IAMClient(settings),
      scaling: () => new ApplicationAutoScalingClient(settings),
      alarms: () => new CloudWatchClient(settings),
      logs: () => new CloudWatchLogsClient(settings),
    },
    artifacts,
    boundary_arn: 'arn:aws:iam::123456789012:policy/aideploy/dev-boundary',
    prices: snapshotPrices(),
    public_url: 'https://platform.example',
    log: silentLog,
    ...{ wait_ms: 20_000, poll_ms: 1 },
    ...changes,
  }
  const target = (bytes: Uint8Array, inspection: Inspection | null, spec: Partial<Deployment> = {}): DeployTarget => {
    const path = writeModel(join(dir, 'model.onnx'), bytes)
    kept.set('models/org_1/mod_1/model.onnx', Buffer.from(bytes))
    const base = deployTarget(path)
    return {
      deployment: { ...base.deployment, deployment_type: 'sagemaker', ...spec },
      model: { ...base.model, artifact: 'models/org_1/mod_1/model.onnx', inspection },
    }
  }
  return {
    dir,
    kept,
    parts,
    target,
    deployer: sagemakerDeployer(parts),
    end: () => rmSync(dir, { recursive: true, force: true }),
  }
}

export type SagemakerBench = ReturnType<typeof sagemakerBench>
