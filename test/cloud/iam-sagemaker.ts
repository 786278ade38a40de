import * as z from 'zod'
import type { IamRequest } from '../support/iam-evaluator.ts'
import type { Seen } from './front.ts'
import { arn } from './physical.ts'

const Body = z.looseObject({
  ModelName: z.string().optional(),
  EndpointName: z.string().optional(),
  EndpointConfigName: z.string().optional(),
  InferenceComponentName: z.string().optional(),
  ProcessingJobName: z.string().optional(),
  TrainingJobName: z.string().optional(),
  ExecutionRoleArn: z.string().optional(),
  RoleArn: z.string().optional(),
  Tags: z.array(z.unknown()).optional(),
})
const named = (kind: string, name: string | undefined): string[] =>
  name === undefined ? [] : [arn('sagemaker', `${kind}/${name}`)]

/** Which of a request's names are resources IAM looks at (Service Authorization Reference, SageMaker). */
const resourcesOf = (verb: string, body: z.output<typeof Body>): string[] => {
  if (verb.startsWith('List')) return ['*']
  const component = named('inference-component', body.InferenceComponentName)
  if (component.length > 0)
    return verb === 'CreateInferenceComponent' ? [...component, ...named('endpoint', body.EndpointName)] : component
  const endpoint = named('endpoint', body.EndpointName)
  const config = named('endpoint-config', body.EndpointConfigName)
  if (endpoint.length + config.length > 0) return [...endpoint, ...config]
  return [
    ...named('model', body.ModelName),
    ...named('processing-job', body.ProcessingJobName),
    ...named('training-job', body.TrainingJobName),
  ]
}

export const ofSagemaker = (seen: Seen): IamRequest[] => {
  const called = /^\/endpoints\/([^/]+)\/(async-)?invocations$/.exec(seen.path)
  if (called) {
    const action = called[2] === undefined ? 'InvokeEndpoint' : 'InvokeEndpointAsync'
    return [{ action: `sagemaker:${action}`, resource: arn('sagemaker', `endpoint/${called[1]}`) }]
  }
  const verb = String(seen.headers['x-amz-target']).split('.').at(-1) ?? ''
  const body = Body.parse(JSON.parse(seen.body))
  const resources = resourcesOf(verb, body)
  if (resources.length === 0) throw new Error(`The witness does not know what sagemaker:${verb} is asked of`)
  const role = body.ExecutionRoleArn ?? body.RoleArn
  return [
    ...resources.map((resource) => ({ action: `sagemaker:${verb}`, resource })),
    ...(body.Tags === undefined ? [] : [{ action: 'sagemaker:AddTags', resource: resources[0] ?? '' }]),
    ...(role === undefined
      ? []
      : [{ action: 'iam:PassRole', resource: role, context: { 'iam:PassedToService': ['sagemaker.amazonaws.com'] } }]),
  ]
}
