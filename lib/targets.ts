import { ArnFormat, Stack } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import { pipelines } from '../layers/core/contract/pipelines.ts'
import { names } from './names.ts'
import type { Parts } from './parts.ts'
import type { Stage } from './stage.ts'

type Arns = (scope: Construct, parts: Parts) => string[]

const arn = (
  scope: Construct,
  service: string,
  resource: string,
  resourceName: string,
  arnFormat = ArnFormat.COLON_RESOURCE_NAME,
) => Stack.of(scope).formatArn({ service, resource, resourceName, arnFormat })

export const processingRoleArn = (scope: Construct, stage: Stage): string => {
  const { partition, account } = Stack.of(scope)
  return `arn:${partition}:iam::${account}:role${names(stage).rolePath}${names(stage).processingRole}`
}

/** What a grant may point at: a name and the ARNs it stands for. */
export const targets = {
  table: (_scope, { data }) => [
    data.table.tableArn,
    `${data.table.tableArn}/index/lookup`,
    `${data.table.tableArn}/index/worklist`,
  ],
  bucket: (_scope, { data }) => [data.artifacts.bucketArn],
  objects: (_scope, { data }) => [data.artifacts.arnForObjects('*')],
  machines: (scope, { stage }) =>
    Object.keys(pipelines).map((id) => arn(scope, 'states', 'stateMachine', names(stage).machine(id))),
  executions: (scope, { stage }) =>
    Object.keys(pipelines).map((id) => arn(scope, 'states', 'execution', `${names(stage).machine(id)}:*`)),
  userPool: (_scope, { identity }) => {
    if (identity === undefined) throw new Error('A function needs the user pool, which this stack was not given')
    return [identity.userPoolArn]
  },
  eventBus: (scope, { stage }) => [arn(scope, 'events', 'event-bus', names(stage).eventBus, ArnFormat.SLASH_RESOURCE_NAME)],
  secrets: (scope, { stage }) => [arn(scope, 'secretsmanager', 'secret', `${names(stage).secretsPrefix}/*`)],
  /** The sender, verified by its address or by its domain; nothing while the stage names none. */
  mailIdentities: (scope, { stage }) => {
    const address = stage.mailFrom?.match(/[^\s<>]+@([^\s<>]+)/)
    return [...(address ?? [])].map((name) => arn(scope, 'ses', 'identity', name, ArnFormat.SLASH_RESOURCE_NAME))
  },
  processingJobs: (scope, { stage }) => [
    arn(scope, 'sagemaker', 'processing-job', `${names(stage).processingJobs}*`, ArnFormat.SLASH_RESOURCE_NAME),
  ],
  trainingJobs: (scope, { stage }) => [
    arn(scope, 'sagemaker', 'training-job', `${names(stage).trainingJobs}*`, ArnFormat.SLASH_RESOURCE_NAME),
  ],
  processingRole: (scope, { stage }) => [processingRoleArn(scope, stage)],
  /** Actions without a resource-level permission; each stands in `wildcards.ts`. */
  anything: () => ['*'],
  none: () => [],
} as const satisfies Record<string, Arns>

export type Target = keyof typeof targets
export const targetArns = (target: Target, scope: Construct, parts: Parts): string[] => targets[target](scope, parts)
