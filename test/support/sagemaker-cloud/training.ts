import type { JsonObject } from '../../../layers/core/domain/json.ts'
import { ServiceError } from '../aws-json-server.ts'
import { type CloudState, checkedName, invalid, objects } from './state.ts'

/** Training jobs, with the service's own limits and words: they stay `InProgress` until a test says otherwise. */
export const trainingJobs = (state: CloudState): Record<string, (input: JsonObject) => object> => ({
  CreateTrainingJob: (input) => {
    const name = checkedName(input.TrainingJobName)
    checkAlgorithm(Object(input.AlgorithmSpecification))
    checkChannels(objects(input.InputDataConfig))
    checkStopping(input)
    checkPlaces(input)
    if (state.no_spot && input.EnableManagedSpotTraining === true)
      throw new ServiceError(
        'ResourceLimitExceeded',
        "The account-level service limit 'ml.m5.2xlarge for spot training job usage' is 0 Instances, with current utilization of 0 Instances and a request delta of 1 Instances.",
      )
    if (state.training.has(name))
      throw new ServiceError('ResourceInUse', `Job name must be unique within an AWS account and region: ${name}`)
    state.training.set(name, {
      ...input,
      TrainingJobStatus: 'InProgress',
      SecondaryStatus: 'Starting',
      SecondaryStatusTransitions: [],
    })
    return { TrainingJobArn: `arn:aws:sagemaker:us-east-1:123456789012:training-job/${name}` }
  },
  DescribeTrainingJob: ({ TrainingJobName: name }) => {
    const job = state.training.get(String(name))
    if (!job) throw invalid('Requested resource not found.')
    const output = String(Object(job.OutputDataConfig).S3OutputPath)
    const ended = job.TrainingJobStatus !== 'InProgress'
    return { ...job, ...(ended && { ModelArtifacts: { S3ModelArtifacts: `${output}/${String(name)}/output/model` } }) }
  },
  ListTrainingJobs: ({ NameContains = '', StatusEquals }) => ({
    TrainingJobSummaries: [...state.training.values()]
      .filter((job) => String(job.TrainingJobName).includes(String(NameContains)) && job.TrainingJobStatus === StatusEquals)
      .map(({ TrainingJobName, TrainingJobStatus }) => ({ TrainingJobName, TrainingJobStatus })),
  }),
  StopTrainingJob: ({ TrainingJobName: name }) => {
    const job = state.training.get(String(name))
    if (!job) throw invalid('Requested resource not found.')
    if (job.TrainingJobStatus !== 'InProgress')
      throw invalid(`The request was rejected because the training job is in status ${String(job.TrainingJobStatus)}.`)
    job.TrainingJobStatus = 'Stopping'
    return {}
  },
})

const checkAlgorithm = (algorithm: JsonObject): void => {
  if (typeof algorithm.TrainingImage !== 'string' || algorithm.TrainingInputMode !== 'File')
    throw invalid('AlgorithmSpecification wants TrainingImage and TrainingInputMode')
  const entrypoint = Array.isArray(algorithm.ContainerEntrypoint) ? algorithm.ContainerEntrypoint : []
  for (const word of entrypoint)
    if (typeof word !== 'string' || word.length > 256)
      throw invalid(
        "Value at 'algorithmSpecification.containerEntrypoint' failed to satisfy constraint: Member must have length less than or equal to 256",
      )
}

const checkChannels = (channels: JsonObject[]): void => {
  if (channels.length < 1 || channels.length > 20) throw invalid('Wanted 1 to 20 channels')
  const names = channels.map(({ ChannelName }) => String(ChannelName))
  if (new Set(names).size !== names.length) throw invalid('Channel names must be unique')
  const bad = names.find((name) => !/^[A-Za-z0-9.\-_]{1,64}$/.test(name))
  if (bad !== undefined) throw invalid(`Channel name ${bad}`)
  for (const { DataSource } of channels) s3(Object(Object(DataSource).S3DataSource).S3Uri)
}

/** Spot wants a time to wait that is no shorter than the time to run; on demand wants none. Neither may exceed 28 days. */
const checkStopping = ({ EnableManagedSpotTraining: spot, StoppingCondition }: JsonObject): void => {
  const { MaxRuntimeInSeconds: run, MaxWaitTimeInSeconds: wait } = Object(StoppingCondition)
  if (!Number.isInteger(run) || run < 1 || run > 2_419_200) throw invalid(`Invalid MaxRuntimeInSeconds ${String(run)}`)
  if (spot === true && !(Number.isInteger(wait) && wait >= run))
    throw invalid('Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds')
  if (spot !== true && wait !== undefined)
    throw invalid('MaxWaitTimeInSeconds is supported only when EnableManagedSpotTraining is true')
}

const checkPlaces = ({ OutputDataConfig, CheckpointConfig, ResourceConfig, RoleArn }: JsonObject): void => {
  s3(Object(OutputDataConfig).S3OutputPath)
  if (CheckpointConfig !== undefined) s3(Object(CheckpointConfig).S3Uri)
  const { InstanceCount, InstanceType, VolumeSizeInGB } = Object(ResourceConfig)
  if (InstanceCount !== 1 || !/^ml\./.test(String(InstanceType)) || !(VolumeSizeInGB >= 1)) throw invalid('ResourceConfig')
  if (!/^arn:aws[a-z-]*:iam::\d{12}:role\//.test(String(RoleArn))) throw invalid('RoleArn')
}

const s3 = (uri: unknown): void => {
  if (!/^(https|s3):\/\/([^/]+)\/?(.*)$/.test(String(uri)) || String(uri).length > 1024)
    throw invalid(`S3 address ${String(uri)}`)
}
