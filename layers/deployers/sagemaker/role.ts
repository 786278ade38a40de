import {
  CreateRoleCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  GetRolePolicyCommand,
  ListRolePoliciesCommand,
  PutRolePolicyCommand,
} from '@aws-sdk/client-iam'
import { awsFailure } from '../../aws/failure.ts'
import type { Deployment } from '../../core/domain/deployment.ts'
import { asyncPrefix, baseName, filesPrefix, POLICY, roleArn, rolePath, tagList } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import { isThere, orAbsent } from './patience.ts'

type Statement = { Effect: 'Allow'; Action: string[]; Resource: string | string[]; Condition?: object }

/** What the containers of one deployment may do: read its own archive, write its own results, its own logs, pull images. */
export const rolePolicy = (
  { partition, region, account, bucket, kms_key_arn }: SagemakerParts,
  deployment_id: string,
): { Version: string; Statement: Statement[] } => {
  const objects = `arn:${partition}:s3:::${bucket}/`
  const logs = `arn:${partition}:logs:${region}:${account}:log-group:/aws/sagemaker/*`
  const allow = (Action: string[], Resource: string | string[]): Statement => ({ Effect: 'Allow', Action, Resource })
  const listing = allow(['s3:ListBucket'], `arn:${partition}:s3:::${bucket}`)
  return {
    Version: '2012-10-17',
    Statement: [
      allow(['s3:GetObject'], [`${objects}${filesPrefix(deployment_id)}*`, `${objects}${asyncPrefix(deployment_id)}*`]),
      allow(['s3:PutObject'], `${objects}${asyncPrefix(deployment_id)}*`),
      {
        ...listing,
        Condition: { StringLike: { 's3:prefix': [`${filesPrefix(deployment_id)}*`, `${asyncPrefix(deployment_id)}*`] } },
      },
      allow(['logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'], [logs, `${logs}:*`]),
      allow(
        ['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'],
        `arn:${partition}:ecr:${region}:*:repository/*`,
      ),
      // Neither has resource-level permissions.
      allow(['ecr:GetAuthorizationToken'], '*'),
      {
        ...allow(['cloudwatch:PutMetricData'], '*'),
        Condition: { StringLike: { 'cloudwatch:namespace': ['AWS/SageMaker', '/aws/sagemaker/*'] } },
      },
      ...(kms_key_arn === undefined ? [] : [allow(['kms:Decrypt', 'kms:GenerateDataKey'], kms_key_arn)]),
    ],
  }
}

const trust = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { Service: 'sagemaker.amazonaws.com' }, Action: 'sts:AssumeRole' }],
}

type Owned = Pick<Deployment, 'id' | 'organization_id'>

/** Makes the role and its policy, or puts right what differs; answers what was put right. */
export const ensureRole = async (parts: SagemakerParts, deployment: Owned): Promise<{ arn: string; repaired: string[] }> => {
  const iam = parts.clients.iam()
  const RoleName = baseName(parts.stage, deployment.id)
  const named = { RoleName, PolicyName: POLICY }
  const PolicyDocument = JSON.stringify(rolePolicy(parts, deployment.id))
  const repaired: string[] = []
  try {
    const stored = await orAbsent(iam.send(new GetRolePolicyCommand(named)), 'Reading the model role')
    if (stored !== undefined && decodeURIComponent(stored.PolicyDocument ?? '') === PolicyDocument)
      return { arn: roleArn(parts, deployment.id), repaired }
    const role = {
      RoleName,
      Path: rolePath(parts.stage),
      PermissionsBoundary: parts.boundary_arn,
      AssumeRolePolicyDocument: JSON.stringify(trust),
      Tags: tagList(parts.stage, deployment),
    }
    const made = await iam.send(new CreateRoleCommand(role)).catch((error: unknown) => {
      if (!isThere(error)) throw error
    })
    await iam.send(new PutRolePolicyCommand({ ...named, PolicyDocument }))
    repaired.push(made === undefined ? `policy of role ${RoleName}` : `role ${RoleName}`)
    return { arn: roleArn(parts, deployment.id), repaired }
  } catch (error) {
    throw awsFailure(error, 'Making the role of the model')
  }
}

export const removeRole = async (parts: SagemakerParts, deployment_id: string): Promise<boolean> => {
  const iam = parts.clients.iam()
  const RoleName = baseName(parts.stage, deployment_id)
  const doing = 'Removing the role of the model'
  const policies = await orAbsent(iam.send(new ListRolePoliciesCommand({ RoleName })), doing)
  if (policies === undefined) return false
  for (const PolicyName of policies.PolicyNames ?? [])
    await orAbsent(iam.send(new DeleteRolePolicyCommand({ RoleName, PolicyName })), doing)
  await orAbsent(iam.send(new DeleteRoleCommand({ RoleName })), doing)
  return true
}
