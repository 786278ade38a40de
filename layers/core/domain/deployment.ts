import * as z from 'zod'
import { JsonObject } from './json.ts'
import { Rung } from './ladder.ts'
import { RecordRequests } from './recorded-rows.ts'

export const ResourceRequirements = z.strictObject({
  cpu: z
    .string()
    .regex(/^(\d+m|\d+(\.\d+)?)$/, 'wanted cores as "0.5", "2" or "500m"')
    .default('1'),
  memory: z
    .string()
    .regex(/^\d+(\.\d+)?(Ki|Mi|Gi|Ti|K|M|G|T)?$/, 'wanted bytes as "512Mi" or "2Gi"')
    .default('2Gi'),
  gpu: z.string().nullable().default(null),
  timeout: z.number().int().min(1).max(86_400).default(30).describe('Seconds one request may take'),
})
export type ResourceRequirements = z.infer<typeof ResourceRequirements>

export const ScalingPolicy = z
  .strictObject({
    min_instances: z.number().int().min(0).max(1000).default(0),
    max_instances: z.number().int().min(1).max(1000).default(5),
    target_cpu_utilization: z.number().min(1).max(100).default(70),
  })
  .refine((policy) => policy.min_instances <= policy.max_instances, {
    error: 'min_instances must not exceed max_instances',
    path: ['min_instances'],
  })
export type ScalingPolicy = z.infer<typeof ScalingPolicy>

export const CostOptimizationPolicy = z.strictObject({
  use_spot_instances: z.boolean().default(false),
  hibernation_enabled: z.boolean().default(true),
  hibernation_idle_timeout: z.number().int().min(1).max(31_536_000).default(1800).describe('Seconds without a request'),
  multi_cloud_enabled: z.boolean().default(false),
})
export type CostOptimizationPolicy = z.infer<typeof CostOptimizationPolicy>

/** The types the platform knows by name; which of them work here is for the registry of deployers to say. */
export const knownDeploymentTypes = ['serverless', 'kubernetes', 'sagemaker', 'provider', 'custom'] as const

export const DeploymentStatus = z.enum([
  'creating',
  'active',
  'activating',
  'hibernating',
  'hibernated',
  'updating',
  'stopped',
  'failed',
  'deleted',
])
export type DeploymentStatus = z.infer<typeof DeploymentStatus>

/**
 * The one transition table. `deleted` is final. A request wakes `hibernated` only; `stopped` leaves by activate or delete.
 * `failed` may be retried by activate or PUT.
 */
const transitions: Record<DeploymentStatus, readonly DeploymentStatus[]> = {
  creating: ['active', 'failed', 'deleted'],
  // To `activating` when its host restarted and nothing runs any more.
  active: ['activating', 'hibernating', 'updating', 'stopped', 'failed', 'deleted'],
  activating: ['active', 'hibernated', 'stopped', 'failed', 'deleted'],
  hibernating: ['hibernated', 'active', 'failed', 'deleted'],
  hibernated: ['activating', 'updating', 'stopped', 'failed', 'deleted'],
  updating: ['active', 'hibernated', 'stopped', 'failed', 'deleted'],
  stopped: ['activating', 'updating', 'failed', 'deleted'],
  failed: ['activating', 'updating', 'stopped', 'deleted'],
  deleted: [],
}

export const mayBecome = (from: DeploymentStatus, to: DeploymentStatus): boolean => transitions[from].includes(to)

/** The part of a deployment that a PUT can change; every change is a revision. */
export const DeploymentSpec = z.object({
  model_id: z.string(),
  model_type: z.enum(['original', 'optimized']),
  resource_requirements: ResourceRequirements,
  scaling_policy: ScalingPolicy,
  cost_optimization_policy: CostOptimizationPolicy,
  endpoint_auth: z.enum(['token', 'none']),
  metadata: JsonObject,
  record_requests: RecordRequests.nullable().optional(),
})
export type DeploymentSpec = z.infer<typeof DeploymentSpec>

/** A share of the requests goes to another revision of the same deployment. */
export const Canary = z.strictObject({
  revision: z.number().int().min(1),
  percent: z.number().min(0.1).max(50).describe('Share of the requests, in percent'),
})
export type Canary = z.infer<typeof Canary>

/**
 * A change under way. `revision` is the one it brings up, `canary` the share it sends elsewhere (null ends that), `from` the state
 * before it, `until` ISO 8601.
 */
export const Transition = z.object({
  id: z.string(),
  until: z.string(),
  from: DeploymentStatus.optional(),
  revision: z.number().int().optional(),
  canary: Canary.nullable().optional(),
})
export type Transition = z.infer<typeof Transition>

/** A deployment as stored: the spec in force, where it is in its life, and what its deployer remembers. */
export const Deployment = DeploymentSpec.extend({
  id: z.string(),
  organization_id: z.string(),
  name: z.string(),
  deployment_type: z.string(),
  /** The model or optimised model whose file is served. */
  resolved_model_id: z.string(),
  status: DeploymentStatus,
  status_since: z.string(),
  status_reason: z.string().nullable(),
  endpoint: z.string().nullable(),
  revision: z.number().int(),
  created_at: z.string(),
  updated_at: z.string(),
  /** Opaque to everyone but the deployer. */
  deployer_state: JsonObject,
  /** Who drives the current transition and until when; past it anyone may repair. Until it is null the deployer is not done. */
  transition: Transition.nullable(),
  /** The original whose file, or whose optimised file, is served: what `claimModel` claimed. */
  original_model_id: z.string().optional(),
  /** Activations in a row that failed. */
  failed_activations: z.number().int().optional(),
  canary: Canary.nullable().optional(),
  /** Since when it keeps what is charged by the hour. */
  awake_since: z.string().optional(),
})
export type Deployment = z.infer<typeof Deployment>

/** The reference's deployment body plus `resolved_model_id`, `revision`, `endpoint_auth` and why it is in its state. */
export const DeploymentReply = Deployment.omit({
  organization_id: true,
  deployer_state: true,
  transition: true,
  original_model_id: true,
  failed_activations: true,
  awake_since: true,
})
export type DeploymentReply = z.infer<typeof DeploymentReply>
/** One deployment alone is also told from warm to cold what keeping it costs and how long waking takes; absent where its type cannot say. */
export const DeploymentDetail = DeploymentReply.extend({ hibernation_ladder: z.array(Rung).optional() })
export type DeploymentDetail = z.infer<typeof DeploymentDetail>
/** An endpoint of the platform's own is stored as a path: the address may be another one after the next start. */
export const deploymentReply = (deployment: Deployment, { public_url }: { public_url: string }): DeploymentReply =>
  DeploymentReply.parse({
    ...deployment,
    canary: deployment.canary ?? null,
    record_requests: deployment.record_requests ?? null,
    endpoint: deployment.endpoint?.startsWith('/') ? public_url + deployment.endpoint : deployment.endpoint,
  })
