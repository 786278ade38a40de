import { Stack } from 'aws-cdk-lib'
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { Construct } from 'constructs'
import { names } from '../names.ts'
import type { Parts } from '../parts.ts'

const kinds = ['ProcessingJobs', 'TrainingJobs']

/**
 * What a job may do that works on a model too large for a function, or trains longer than one: read and write artifacts, fetch AWS's published image
 * and our program, log. Its name is fixed, so that the steps which pass it need no reference.
 */
export const processingRole = (scope: Construct, { stage, data }: Parts): Role => {
  const { partition, region, account } = Stack.of(scope)
  const assets = `arn:${partition}:s3:::cdk-hnb659fds-assets-${account}-${region}`
  const statements = [
    { actions: ['s3:GetObject', 's3:PutObject'], resources: [data.artifacts.arnForObjects('*')] },
    { actions: ['s3:ListBucket'], resources: [data.artifacts.bucketArn] },
    { actions: ['s3:GetObject'], resources: [`${assets}/*`] },
    {
      actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'],
      resources: kinds.map((kind) => `arn:${partition}:logs:${region}:${account}:log-group:/aws/sagemaker/${kind}:*`),
    },
    {
      actions: ['cloudwatch:PutMetricData'],
      resources: ['*'],
      conditions: { StringEquals: { 'cloudwatch:namespace': kinds.map((kind) => `/aws/sagemaker/${kind}`) } },
    },
    { actions: ['ecr:GetAuthorizationToken'], resources: ['*'] },
    {
      actions: ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
      resources: [`arn:${partition}:ecr:${region}:*:repository/*`],
    },
    ...(data.key === undefined ? [] : [{ actions: ['kms:Decrypt', 'kms:GenerateDataKey'], resources: [data.key.keyArn] }]),
  ]
  return new Role(scope, 'processing-role', {
    roleName: names(stage).processingRole,
    path: names(stage).rolePath,
    description: `AI Deploy ${stage.name}: work on models too large for a function`,
    assumedBy: new ServicePrincipal('sagemaker.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': account } },
    }),
    inlinePolicies: { work: new PolicyDocument({ statements: statements.map((statement) => new PolicyStatement(statement)) }) },
  })
}
