import type { Deployment } from '../../core/domain/deployment.ts'
import type { Deployer } from '../../core/ports/deployer.ts'
import { grants } from './grants.ts'
import { sagemakerLadder } from './ladder.ts'
import { chosenMode, limits, sagemakerSettings, wantedOf } from './settings.ts'

/** Why a deployment can have no canary; undefined when it can. */
export const canaryRefusal = (deployment: Deployment): string | undefined => {
  const wanted = wantedOf(deployment)
  const { mode } = chosenMode(wanted)
  if (mode === 'serverless') return 'serverless endpoints have one variant only; wanted metadata.endpoint_mode real_time'
  if (mode === 'async') return 'asynchronous endpoints have one variant only; wanted metadata.endpoint_mode real_time'
  return wanted.metadata.scale_to_zero === true
    ? 'endpoints that scale to zero by components have no weighted variants; wanted metadata.scale_to_zero false'
    : undefined
}

const GIB = 2 ** 30

/** What the type is and takes, without what carries it out: no SDK is needed to know it. */
export const sagemakerFace = {
  type: 'sagemaker',
  summary: 'SageMaker endpoints: serverless, real-time with or without GPU, or asynchronous for large and long requests',
  settings: sagemakerSettings,
  capabilities: {
    frameworks: ['onnx', 'pytorch', 'tensorflow'],
    scales_to_zero: false,
    gpu: true,
    max_memory_bytes: 383 * GIB,
    max_timeout_s: limits.async.timeout_s,
  },
  needs: [...new Set(grants.flatMap(({ actions }) => actions))].sort(),
  refusesCanary: canaryRefusal,
  ladder: sagemakerLadder,
} as const satisfies Partial<Deployer>
