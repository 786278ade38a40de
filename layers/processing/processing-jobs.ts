import { dirname } from 'node:path'
import {
  CreateProcessingJobCommand,
  type CreateProcessingJobCommandInput,
  DescribeProcessingJobCommand,
  ListProcessingJobsCommand,
  StopProcessingJobCommand,
} from '@aws-sdk/client-sagemaker'
import { awsFailure } from '../aws/failure.ts'
import { created, entrypoint, folderOf, inputAddresses, isAbsent, isTheirs, type Jobs, type ProcessingParts } from './job.ts'
import { inputsOf, layouts, type Order } from './order.ts'

const noun = 'processing job'
const states = { Completed: 'completed', Stopped: 'stopped', Failed: 'failed' } as const

/** Jobs for models too large for a function, on demand: SageMaker has Spot instances for training jobs only. */
export const processingJobs: Jobs = {
  kind: 'processing',
  noun: 'Processing job',
  describe: async (client, _parts, name) => {
    try {
      const job = await client.send(new DescribeProcessingJobCommand({ ProcessingJobName: name }))
      const why = [job.FailureReason, job.ExitMessage].filter(Boolean).join('; ') || 'AWS gave no reason'
      const state =
        job.ProcessingJobStatus !== undefined &&
        Object.hasOwn(states, job.ProcessingJobStatus) &&
        states[job.ProcessingJobStatus as keyof typeof states]
      return { state: state || 'running', why, again: isTheirs(why), results: `${folderOf(name)}/result`, notes: [] }
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw awsFailure(error, `Looking for the ${noun}`)
    }
  },
  create: (client, parts, { name }, order) =>
    created(noun, parts, () => client.send(new CreateProcessingJobCommand(jobInput(parts, name, order)))),
  running: async (client, prefix) => {
    const { ProcessingJobSummaries = [] } = await client.send(
      new ListProcessingJobsCommand({ NameContains: prefix, StatusEquals: 'InProgress' }),
    )
    return ProcessingJobSummaries.flatMap(({ ProcessingJobName }) => ProcessingJobName ?? [])
  },
  stop: async (client, name) => void (await client.send(new StopProcessingJobCommand({ ProcessingJobName: name }))),
}

const root = '/opt/ml'

const jobInput = (parts: ProcessingParts, name: string, order: Order): CreateProcessingJobCommandInput => {
  const input = ([role, S3Uri]: [string, string]) => ({
    InputName: role,
    S3Input: {
      S3Uri,
      LocalPath: `${root}/${layouts.processing.input(role as 'order')}`,
      S3DataType: 'S3Prefix' as const,
      S3InputMode: 'File' as const,
    },
  })
  const output = (OutputName: string, folder: string, key: string) => ({
    OutputName,
    S3Output: { S3Uri: `s3://${parts.bucket}/${key}`, LocalPath: `${root}/${folder}`, S3UploadMode: 'EndOfJob' as const },
  })
  const { result, candidate } = layouts.processing
  const outputs = [output('result', result, `${folderOf(name)}/result`)]
  if (order.kind === 'build') outputs.push(output('candidate', candidate, dirname(order.order.candidate)))
  return {
    ProcessingJobName: name,
    RoleArn: parts.role_arn,
    AppSpecification: { ImageUri: parts.image, ContainerEntrypoint: entrypoint(root, '/tmp/aideploy') },
    ProcessingInputs: inputAddresses(parts, name, inputsOf(order)).map(input),
    ProcessingOutputConfig: {
      Outputs: outputs,
      ...(parts.kms_key_arn === undefined ? {} : { KmsKeyId: parts.kms_key_arn }),
    },
    ProcessingResources: {
      ClusterConfig: {
        InstanceCount: 1,
        InstanceType: parts.instance_type as 'ml.m5.2xlarge',
        VolumeSizeInGB: parts.volume_gb ?? 60,
      },
    },
    StoppingCondition: { MaxRuntimeInSeconds: parts.max_runtime_s ?? 3600 },
    // Model files are foreign: nothing in there may speak to anyone.
    NetworkConfig: { EnableNetworkIsolation: true },
    Tags: [{ Key: 'aideploy:stage', Value: parts.stage }],
  }
}
