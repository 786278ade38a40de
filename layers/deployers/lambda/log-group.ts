import {
  CreateLogGroupCommand,
  DeleteLogGroupCommand,
  DescribeLogGroupsCommand,
  PutRetentionPolicyCommand,
} from '@aws-sdk/client-cloudwatch-logs'
import { awsCode } from '../../aws/failure.ts'
import type { Deployment } from '../../core/domain/deployment.ts'
import { logGroupName, tagsOf } from './names.ts'
import type { LambdaParts, RemovalParts } from './parts.ts'
import { orAbsent } from './patience.ts'

/** The deployment's log group with the stage's retention; answers what had to be changed. */
export const ensureLogGroup = async (
  parts: LambdaParts,
  owned: Pick<Deployment, 'id' | 'organization_id'>,
): Promise<string[]> => {
  const logGroup = logGroupName(parts.stage, owned.id)
  const { logGroups = [] } = await parts.logs().send(new DescribeLogGroupsCommand({ logGroupNamePrefix: logGroup, limit: 1 }))
  const found = logGroups.find(({ logGroupName: name }) => name === logGroup)
  if (found?.retentionInDays === parts.log_retention_days) return []
  if (!found) await createGroup(parts, logGroup, tagsOf(parts.stage, owned))
  const retentionInDays = parts.log_retention_days
  await parts.logs().send(new PutRetentionPolicyCommand({ logGroupName: logGroup, retentionInDays }))
  return [found ? `log retention set to ${retentionInDays} days` : 'log group made']
}

const createGroup = async (parts: LambdaParts, name: string, tags: Record<string, string>): Promise<void> => {
  try {
    await parts.logs().send(new CreateLogGroupCommand({ logGroupName: name, tags }))
  } catch (error) {
    if (awsCode(error) !== 'ResourceAlreadyExistsException') throw error
  }
}

export const removeLogGroup = async (parts: Pick<RemovalParts, 'logs' | 'stage'>, deployment_id: string): Promise<void> => {
  await orAbsent(parts.logs().send(new DeleteLogGroupCommand({ logGroupName: logGroupName(parts.stage, deployment_id) })))
}
