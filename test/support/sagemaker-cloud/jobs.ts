import type { JsonObject } from '../../../layers/core/domain/json.ts'
import { ServiceError } from '../aws-json-server.ts'
import { type CloudState, checkedName, invalid } from './state.ts'

/** Processing jobs: they stay `InProgress` until a test says otherwise. */
export const processingJobs = (state: CloudState): Record<string, (input: JsonObject) => object> => ({
  CreateProcessingJob: (input) => {
    const name = checkedName(input.ProcessingJobName)
    if (state.jobs.has(name))
      throw new ServiceError('ResourceInUse', `Job name must be unique within an AWS account and region: ${name}`)
    state.jobs.set(name, { ...input, ProcessingJobStatus: 'InProgress' })
    return { ProcessingJobArn: `arn:aws:sagemaker:us-east-1:123456789012:processing-job/${name}` }
  },
  DescribeProcessingJob: ({ ProcessingJobName: name }) => {
    const job = state.jobs.get(String(name))
    if (!job) throw invalid(`Could not find requested job with name: ${String(name)}`)
    return job
  },
  ListProcessingJobs: ({ NameContains = '', StatusEquals }) => ({
    ProcessingJobSummaries: [...state.jobs.values()]
      .filter((job) => String(job.ProcessingJobName).includes(String(NameContains)) && job.ProcessingJobStatus === StatusEquals)
      .map(({ ProcessingJobName, ProcessingJobStatus }) => ({ ProcessingJobName, ProcessingJobStatus })),
  }),
  StopProcessingJob: ({ ProcessingJobName: name }) => {
    const job = state.jobs.get(String(name))
    if (!job) throw invalid(`Could not find requested job with name: ${String(name)}`)
    job.ProcessingJobStatus = 'Stopping'
    return {}
  },
})
