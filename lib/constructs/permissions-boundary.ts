import { Stack } from 'aws-cdk-lib'
import { ManagedPolicy, PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { Construct } from 'constructs'
import { names } from '../names.ts'
import type { Data } from '../stacks/data.ts'
import type { Stage } from '../stage.ts'

/**
 * The most any role made for a deployment may ever do, whatever its own policy says. The deployers must set it on every role they
 * make (`iam:PermissionsBoundary` in their grants), so that a flaw in them cannot make a role that reads what is not a model's.
 */
export const permissionsBoundary = (scope: Construct, stage: Stage, data: Data): ManagedPolicy =>
  new ManagedPolicy(scope, 'boundary', {
    managedPolicyName: names(stage).boundary,
    path: names(stage).rolePath,
    description: `AI Deploy ${stage.name}: limit of the roles of deployments`,
    statements: [...ofModels(stage, data), ...ofContainers(scope), ...ofKey(scope, data)].map(
      (statement) => new PolicyStatement(statement),
    ),
  })

const ofModels = (stage: Stage, { table, artifacts }: Data) => {
  const { partition, region, account } = Stack.of(table)
  const logs = (group: string): string => `arn:${partition}:logs:${region}:${account}:log-group:${group}`
  return [
    {
      sid: 'OwnFiles',
      actions: ['s3:GetObject', 's3:PutObject'],
      resources: [artifacts.arnForObjects('deployments/*'), artifacts.arnForObjects('scratch/*')],
    },
    { sid: 'OwnRequests', actions: ['s3:PutObject'], resources: [artifacts.arnForObjects('samples/*')] },
    { sid: 'ListOwnFiles', actions: ['s3:ListBucket'], resources: [artifacts.bucketArn] },
    {
      sid: 'CallersAndUsage',
      actions: ['dynamodb:GetItem', 'dynamodb:PutItem'],
      resources: [table.tableArn],
    },
    {
      sid: 'OwnLogs',
      actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'],
      resources: [names(stage).logGroup('m/*'), '/aws/sagemaker/*'].flatMap((group) => [logs(group), `${logs(group)}:*`]),
    },
  ]
}

/** What SageMaker asks of the role of an endpoint: AWS's published images, and metrics. */
const ofContainers = (scope: Construct) => {
  const { partition } = Stack.of(scope)
  return [
    { sid: 'SignInToRegistries', actions: ['ecr:GetAuthorizationToken'], resources: ['*'] },
    {
      sid: 'PublishedImages',
      actions: ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
      resources: [`arn:${partition}:ecr:*:*:repository/*`],
    },
    {
      sid: 'Metrics',
      actions: ['cloudwatch:PutMetricData'],
      resources: ['*'],
      conditions: { StringLike: { 'cloudwatch:namespace': ['AiDeploy', '/aws/sagemaker/*'] } },
    },
  ]
}

const ofKey = (scope: Construct, { key }: Data) => {
  const { region } = Stack.of(scope)
  return key === undefined
    ? []
    : [
        {
          sid: 'DataKey',
          actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
          resources: [key.keyArn],
          conditions: { StringEquals: { 'kms:ViaService': [`s3.${region}.amazonaws.com`, `dynamodb.${region}.amazonaws.com`] } },
        },
      ]
}
