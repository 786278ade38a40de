import { CreateLogGroupCommand, DeleteLogGroupCommand, PutRetentionPolicyCommand } from '@aws-sdk/client-cloudwatch-logs'
import { awsFailure } from '../../aws/failure.ts'
import { logGroupName } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import { isThere, orAbsent } from './patience.ts'

/** Made before the containers write to it: theirs would be kept for ever. */
export const ensureLogGroup = (parts: SagemakerParts, deployment_id: string): Promise<void> =>
  ensureGroup(parts, logGroupName(parts.stage, deployment_id))

export const ensureGroup = async (parts: SagemakerParts, name: string): Promise<void> => {
  const logs = parts.clients.logs()
  const named = { logGroupName: name }
  try {
    await logs.send(new CreateLogGroupCommand(named)).catch((error: unknown) => {
      if (!isThere(error)) throw error
    })
    await logs.send(new PutRetentionPolicyCommand({ ...named, retentionInDays: parts.log_retention_days ?? 30 }))
  } catch (error) {
    throw awsFailure(error, 'Making the log group')
  }
}

export const removeLogGroup = (parts: SagemakerParts, deployment_id: string): Promise<boolean> =>
  removeGroup(parts, logGroupName(parts.stage, deployment_id))

export const removeGroup = async (parts: SagemakerParts, name: string): Promise<boolean> => {
  const command = new DeleteLogGroupCommand({ logGroupName: name })
  return (await orAbsent(parts.clients.logs().send(command), 'Removing the log group')) !== undefined
}
