import * as z from 'zod'
import { PlatformError } from '../../core/contract/errors.ts'
import type { Deployment } from '../../core/domain/deployment.ts'
import { cpuCores, memoryBytes } from '../../core/domain/memory-size.ts'
import type { Architecture } from '../../core/domain/skus.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'

/** AWS Lambda quotas, docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, read 2026-11. */
export const least_memory_mb = 128
export const most_memory_mb = 10_240
export const most_timeout_s = 900
const least_ephemeral_mb = 512
const most_ephemeral_mb = 10_240
/** Lambda gives one vCPU at this much memory and in proportion beside it. */
const mb_per_cpu = 1_769
const mebibyte = 2 ** 20
const elsewhere = 'types that can are sagemaker and kubernetes, where they are available'

type Requirements = Pick<Deployment['resource_requirements'], 'cpu' | 'memory'>

/** Megabytes of the function: what was asked for, and at least what brings the cores. */
export const memory_mb = ({ cpu, memory }: Requirements): number =>
  Math.max(Math.ceil(memoryBytes(memory) / mebibyte), Math.ceil(cpuCores(cpu) * mb_per_cpu))

/** Disk for the model in its serving form: a fifth more than the file, and room to work. */
export const ephemeral_mb = (size_bytes: number): number =>
  Math.max(least_ephemeral_mb, Math.ceil((size_bytes * 1.2) / mebibyte + 256))

const Metadata = z.looseObject({
  architecture: z.enum(['arm64', 'x86_64'], 'wanted "arm64" or "x86_64"').default('arm64'),
  rollout_seconds: z.number().int().min(0).max(300, 'wanted 0 to 300 seconds').optional(),
})

/** What a function can be asked for; messages name the types that can do more. */
export const lambdaSettings = z.object({
  resource_requirements: z
    .looseObject({
      cpu: z.string(),
      memory: z.string(),
      gpu: z.null(`serverless runs on AWS Lambda, which has no GPU: wanted null; ${elsewhere}`),
      timeout: z.number().max(most_timeout_s, `wanted at most ${most_timeout_s} seconds on AWS Lambda; ${elsewhere}`),
    })
    .superRefine((wanted, context) => {
      const mb = memory_mb(wanted)
      if (mb >= least_memory_mb && mb <= most_memory_mb) return
      const by_cpu = mb > memoryBytes(wanted.memory) / mebibyte + 1
      const path = [by_cpu ? 'cpu' : 'memory']
      const got = by_cpu ? `${wanted.cpu} cores, which take ${mb} MB at ${mb_per_cpu} MB a core` : wanted.memory
      const message = `got ${got}, wanted ${least_memory_mb} to ${most_memory_mb} MB on AWS Lambda; ${elsewhere}`
      context.addIssue({ code: 'custom', path, message })
    }),
  metadata: Metadata,
})

export interface LambdaSize {
  architecture: Architecture
  memory_mb: number
  ephemeral_mb: number
  timeout_s: number
  threads: number
  /** Where the deployment says how long a new revision is watched. */
  rollout_s: number | undefined
}

/** A function's limit is a little above the request's, so that it can still answer. */
const answer_s = 5

/** The function a deployment gets. Fails with `invalid_request` for a model that no function has room for. */
export const lambdaSize = ({ deployment, model }: DeployTarget): LambdaSize => {
  const { cpu, memory, timeout } = deployment.resource_requirements
  const { architecture, rollout_seconds } = Metadata.parse(deployment.metadata)
  const disk_mb = ephemeral_mb(model.size_bytes)
  if (disk_mb > most_ephemeral_mb) {
    const detail = `the model's ${Math.ceil(model.size_bytes / mebibyte)} MB need ${disk_mb} MB of disk, AWS Lambda has at most ${most_ephemeral_mb} MB`
    throw new PlatformError('invalid_request', `${detail}; ${elsewhere}`, { errors: [{ pointer: '/model_id', detail }] })
  }
  return {
    architecture,
    memory_mb: memory_mb({ cpu, memory }),
    ephemeral_mb: disk_mb,
    timeout_s: Math.min(most_timeout_s, timeout + answer_s),
    threads: Math.max(1, Math.floor(memory_mb({ cpu, memory }) / mb_per_cpu)),
    rollout_s: rollout_seconds,
  }
}
