import * as z from 'zod'
import type { IamRequest } from '../support/iam-evaluator.ts'
import type { Seen } from './front.ts'
import { arn } from './physical.ts'

const Body = z.looseObject({ ServiceNamespace: z.enum(['lambda', 'sagemaker']), ResourceId: z.string().default('') })

/** What the service needs of the target, which it tries in its caller's name. */
const targets = {
  lambda: {
    actions: ['Get', 'Put', 'Delete'].map((what) => `lambda:${what}ProvisionedConcurrencyConfig`),
    resource: (id: string) => arn('lambda', id),
    service: 'lambda.application-autoscaling.amazonaws.com',
    role: 'AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency',
  },
  sagemaker: {
    actions: ['DescribeEndpoint', 'UpdateEndpointWeightsAndCapacities'].map((what) => `sagemaker:${what}`),
    resource: (id: string) => arn('sagemaker', id.split('/').slice(0, 2).join('/')),
    service: 'sagemaker.application-autoscaling.amazonaws.com',
    role: 'AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint',
  },
}
const copies = ['DescribeInferenceComponent', 'UpdateInferenceComponentRuntimeConfig'].map((what) => `sagemaker:${what}`)

/**
 * Application Auto Scaling tries in its caller's name whether it could do what scaling needs, and makes its role once per account
 * (user guide, "Permissions validation for Application Auto Scaling API calls on target resources").
 */
export const ofScaling = ({ headers, body }: Seen): IamRequest[] => {
  const verb = String(headers['x-amz-target']).split('.').at(-1) ?? ''
  const action = `application-autoscaling:${verb}`
  if (verb.startsWith('Describe')) return [{ action, resource: '*' }]
  const { ServiceNamespace: namespace, ResourceId: id } = Body.parse(JSON.parse(body))
  const context = { 'application-autoscaling:service-namespace': [namespace] }
  const asked = { action, resource: arn('application-autoscaling', 'scalable-target/0ec5'), context }
  if (verb !== 'RegisterScalableTarget') return [asked]
  const { actions, resource, service, role } = targets[namespace]
  const tried = id.startsWith('inference-component/') ? copies : actions
  return [
    asked,
    ...tried.map((one) => ({ action: one, resource: resource(id) })),
    { action: 'cloudwatch:DescribeAlarms', resource: '*' },
    ...['PutMetricAlarm', 'DeleteAlarms'].map((one) => ({
      action: `cloudwatch:${one}`,
      resource: arn('cloudwatch', `alarm:TargetTracking-${id}-AlarmHigh-0ec5`),
    })),
    {
      action: 'iam:CreateServiceLinkedRole',
      resource: `arn:aws:iam::123456789012:role/aws-service-role/${service}/${role}`,
      context: { 'iam:AWSServiceName': [service] },
    },
  ]
}
