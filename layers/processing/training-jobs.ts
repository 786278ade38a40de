import {
  CreateTrainingJobCommand,
  type CreateTrainingJobCommandInput,
  DescribeTrainingJobCommand,
  type DescribeTrainingJobCommandOutput,
  ListTrainingJobsCommand,
  StopTrainingJobCommand,
} from '@aws-sdk/client-sagemaker'
import { awsFailure } from '../aws/failure.ts'
import { PlatformError } from '../core/contract/errors.ts'
import {
  created,
  entrypoint,
  folderOf,
  inputAddresses,
  isAbsent,
  isTheirs,
  type Jobs,
  type ProcessingParts,
  type SeenJob,
} from './job.ts'
import { inputsOf, layouts, type Order, trainingSeconds } from './order.ts'

const noun = 'training job'
/** Loading, fetching and what comes after training. */
const AROUND_TRAINING_S = 1800
/** A pipeline waits a day for work elsewhere; an hour of it is left for waiting for an instance. */
const MOST_RUNTIME_S = 82_800
const MOST_TOGETHER_S = 86_400
const WAITING_S = 10_800

/**
 * Jobs for training that takes longer than a step. The first asks for Spot instances, which cost up to 90 % less and may be taken away: what
 * lies in the checkpoint folder is kept in S3, and SageMaker starts the container again with it. The second, for when there were none, runs
 * on demand from the same checkpoints. Source: SageMaker Developer Guide, “Managed Spot Training”, CreateTrainingJob.
 */
export const trainingJobs: Jobs = {
  kind: 'training',
  noun: 'Training job',
  describe: async (client, parts, name) => {
    try {
      return seen(parts, await client.send(new DescribeTrainingJobCommand({ TrainingJobName: name })))
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw awsFailure(error, `Looking for the ${noun}`)
    }
  },
  create: (client, parts, job, order) =>
    created(noun, parts, () => client.send(new CreateTrainingJobCommand(jobInput(parts, job, order)))),
  running: async (client, prefix) => {
    const { TrainingJobSummaries = [] } = await client.send(
      new ListTrainingJobsCommand({ NameContains: prefix, StatusEquals: 'InProgress' }),
    )
    return TrainingJobSummaries.flatMap(({ TrainingJobName }) => TrainingJobName ?? [])
  },
  stop: async (client, name) => void (await client.send(new StopTrainingJobCommand({ TrainingJobName: name }))),
}

/** `Stopped` is also what becomes of a job whose time ran out; why, only the secondary status tells. */
const seen = (parts: ProcessingParts, job: DescribeTrainingJobCommandOutput): SeenJob => {
  const { TrainingJobStatus: status, SecondaryStatus: secondary } = job
  const why =
    job.FailureReason || (secondary === 'MaxRuntimeExceeded' ? 'MaxRuntimeInSeconds was exceeded' : 'AWS gave no reason')
  const results = (job.ModelArtifacts?.S3ModelArtifacts ?? '').replace(`s3://${parts.bucket}/`, '').replace(/\/+$/, '')
  const told = { why, results, notes: notesOf(job), again: isTheirs(why) }
  if (status === 'Completed') return { ...told, state: 'completed' }
  if (status === 'Failed') return { ...told, state: 'failed' }
  if (status !== 'Stopped') return { ...told, state: 'running' }
  if (secondary === 'MaxWaitTimeExceeded')
    return { ...told, state: 'failed', why: 'no Spot instance was free in time', again: true }
  return { ...told, state: secondary === 'MaxRuntimeExceeded' ? 'failed' : 'stopped' }
}

/** The saving as SageMaker's console shows it: 1 − billable ÷ training seconds. */
const notesOf = (job: DescribeTrainingJobCommandOutput): string[] => {
  const { TrainingTimeInSeconds: trained_s, BillableTimeInSeconds: billed_s } = job
  if (trained_s === undefined || billed_s === undefined || trained_s === 0) return []
  const type = job.ResourceConfig?.InstanceType ?? 'an instance'
  const restarts = (job.SecondaryStatusTransitions ?? []).filter(({ Status }) => Status === 'Interrupted').length
  const interrupted = restarts === 0 ? '' : `, interrupted ${restarts} ${restarts === 1 ? 'time' : 'times'}`
  const where = job.EnableManagedSpotTraining ? `Spot ${type}` : type
  const saved = Math.round((1 - billed_s / trained_s) * 100)
  return [`Trained on ${where} for ${trained_s} s${interrupted}, billed ${billed_s} s${saved > 0 ? ` (${saved} % saved)` : ''}`]
}

/** How long the job may run. Fails with `model_error` where training was told to take longer than any may. */
const runtimeOf = ({ kind, order }: Order): number => {
  const training_s = kind === 'build' ? trainingSeconds(order.settings) : 0
  const runtime_s = training_s + AROUND_TRAINING_S
  if (runtime_s <= MOST_RUNTIME_S) return Math.ceil(Math.min(MOST_RUNTIME_S, training_s * 1.2 + AROUND_TRAINING_S))
  const most_s = MOST_RUNTIME_S - AROUND_TRAINING_S
  throw new PlatformError('model_error', `Training of ${training_s} s is too long for a job; wanted at most ${most_s} s`, {
    facts: { reason: 'refused' },
  })
}

const root = '/opt/ml'

const jobInput = (
  parts: ProcessingParts,
  { name, base, attempt }: { name: string; base: string; attempt: number },
  order: Order,
): CreateTrainingJobCommandInput => {
  const runtime_s = runtimeOf(order)
  const spot = attempt === 1 && parts.spot !== false
  return {
    TrainingJobName: name,
    RoleArn: parts.role_arn,
    AlgorithmSpecification: {
      TrainingImage: parts.image,
      TrainingInputMode: 'File',
      ContainerEntrypoint: entrypoint(root, '/tmp/aideploy', 'training'),
    },
    InputDataConfig: inputAddresses(parts, name, inputsOf(order)).map(([role, S3Uri]) => ({
      ChannelName: role,
      InputMode: 'File' as const,
      DataSource: {
        S3DataSource: { S3DataType: 'S3Prefix' as const, S3Uri, S3DataDistributionType: 'FullyReplicated' as const },
      },
    })),
    OutputDataConfig: {
      S3OutputPath: `s3://${parts.bucket}/${folderOf(name)}`,
      CompressionType: 'NONE',
      ...(parts.kms_key_arn === undefined ? {} : { KmsKeyId: parts.kms_key_arn }),
    },
    ResourceConfig: {
      InstanceType: parts.instance_type as 'ml.m5.2xlarge',
      InstanceCount: 1,
      VolumeSizeInGB: parts.volume_gb ?? 60,
    },
    EnableManagedSpotTraining: spot,
    StoppingCondition: {
      MaxRuntimeInSeconds: runtime_s,
      ...(spot && { MaxWaitTimeInSeconds: Math.min(runtime_s + WAITING_S, MOST_TOGETHER_S) }),
    },
    CheckpointConfig: {
      S3Uri: `s3://${parts.bucket}/${folderOf(base)}/checkpoints`,
      LocalPath: `${root}/${layouts.training.checkpoints}`,
    },
    // Model files are foreign: nothing in there may speak to anyone.
    EnableNetworkIsolation: true,
    Tags: [{ Key: 'aideploy:stage', Value: parts.stage }],
  }
}
