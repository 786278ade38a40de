import * as z from 'zod'
import {
  Canary,
  CostOptimizationPolicy,
  DeploymentDetail,
  DeploymentReply,
  DeploymentSpec,
  DeploymentStatus,
  ResourceRequirements,
  ScalingPolicy,
} from '../../domain/deployment.ts'
import { RecordRequests } from '../../domain/recorded-rows.ts'
import { ListQuery, listReply, Message } from '../lists.ts'
import { Metadata } from '../metadata.ts'
import type { RouteRow } from '../route-row.ts'

const row = { function: 'deployments', surface: 'platform', transfer: 'json', status: 200 } as const
const reads = { role: 'viewer', action: 'deployments:read', needs: ['records:read'] } as const
const writes = {
  role: 'editor',
  action: 'deployments:write',
  needs: ['records:read', 'records:write', 'workflows:start'],
} as const
const params = z.object({ deployment_id: z.string() })

/** Printable characters of any script; names are not unique. */
const Name = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, 'wanted printable characters')

const recorded = RecordRequests.nullable()
  .optional()
  .describe(
    'Keeps a sample of the inputs it is sent, for optimisations to calibrate and judge with; null, the default, keeps nothing',
  )

export const CreateDeployment = z.strictObject({
  name: Name,
  model_id: z.string().min(1),
  model_type: z.enum(['original', 'optimized']).default('original'),
  deployment_type: z.string().min(1),
  resource_requirements: ResourceRequirements.prefault({}),
  scaling_policy: ScalingPolicy.prefault({}),
  cost_optimization_policy: CostOptimizationPolicy.prefault({}),
  endpoint_auth: z.enum(['token', 'none']).default('token'),
  metadata: Metadata.default({}),
  record_requests: recorded,
})
export type CreateDeployment = z.infer<typeof CreateDeployment>

/** Partial by top-level member: a member that is present replaces the whole old one. */
export const UpdateDeployment = z.strictObject({
  name: Name.optional(),
  model_id: z.string().min(1).optional(),
  model_type: z.enum(['original', 'optimized']).optional(),
  resource_requirements: ResourceRequirements.optional(),
  scaling_policy: ScalingPolicy.optional(),
  cost_optimization_policy: CostOptimizationPolicy.optional(),
  endpoint_auth: z.enum(['token', 'none']).optional(),
  metadata: Metadata.optional(),
  record_requests: recorded,
  canary: Canary.nullable()
    .optional()
    .describe('Alone: sends a share of the requests to an earlier revision, null ends that; it changes no revision'),
})
export type UpdateDeployment = z.infer<typeof UpdateDeployment>

export const Revision = DeploymentSpec.extend({
  name: z.string(),
  revision: z.number().int(),
  resolved_model_id: z.string(),
  original_model_id: z.string(),
  created_at: z.string(),
  created_by: z.string(),
  rolled_back_from: z.number().int().nullable(),
  /** When it first came up; absent when it never did. */
  up_at: z.string().optional(),
})
export type Revision = z.infer<typeof Revision>

export const deploymentRoutes = {
  'list-deployments': {
    ...row,
    ...reads,
    method: 'GET',
    path: '/deployments',
    summary: 'List deployments, newest first',
    query: ListQuery.extend({
      name: z.string().optional(),
      status: DeploymentStatus.optional(),
      deployment_type: z.string().optional(),
    }),
    reply: listReply(DeploymentReply),
  },
  'get-deployment': {
    ...row,
    ...reads,
    needs: ['records:read', 'prices:read'],
    method: 'GET',
    path: '/deployments/{deployment_id}',
    summary: 'Get a deployment, with what it costs on each rung of its hibernation ladder',
    params,
    reply: DeploymentDetail,
  },
  'create-deployment': {
    ...row,
    ...writes,
    method: 'POST',
    path: '/deployments',
    summary: 'Deploy a model',
    body: CreateDeployment,
    reply: DeploymentReply,
  },
  'update-deployment': {
    ...row,
    ...writes,
    method: 'PUT',
    path: '/deployments/{deployment_id}',
    summary: 'Change a deployment; every change is a revision, except a canary, which shifts requests between revisions',
    params,
    body: UpdateDeployment,
    reply: DeploymentReply,
  },
  'delete-deployment': {
    ...row,
    ...writes,
    method: 'DELETE',
    path: '/deployments/{deployment_id}',
    summary: 'Delete a deployment',
    params,
    reply: Message,
  },
  'hibernate-deployment': {
    ...row,
    ...writes,
    method: 'POST',
    path: '/deployments/{deployment_id}/hibernate',
    summary: 'Put a deployment to sleep; the next request wakes it',
    params,
    reply: Message,
  },
  'activate-deployment': {
    ...row,
    ...writes,
    method: 'POST',
    path: '/deployments/{deployment_id}/activate',
    summary: 'Wake a deployment',
    params,
    reply: Message,
  },
  'stop-deployment': {
    ...row,
    ...writes,
    method: 'POST',
    path: '/deployments/{deployment_id}/stop',
    summary: 'Stop a deployment; requests do not wake it, activate does',
    params,
    reply: Message,
  },
  'list-revisions': {
    ...row,
    ...reads,
    method: 'GET',
    path: '/deployments/{deployment_id}/revisions',
    summary: 'Revisions of a deployment, newest first',
    params,
    reply: z.array(Revision),
  },
  'rollback-deployment': {
    ...row,
    ...writes,
    method: 'POST',
    path: '/deployments/{deployment_id}/rollback',
    summary: 'Make an earlier revision the newest one',
    params,
    body: z.strictObject({ revision: z.number().int().min(1) }),
    reply: DeploymentReply,
  },
} as const satisfies Record<string, RouteRow>
