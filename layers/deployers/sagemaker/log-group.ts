import { CreateLogGroupCommand, DeleteLogGroupCommand, PutRetentionPolicyCommand } from '@aws-sdk/client-cloudwatch-logs'
import { awsFailure } from '../../aws/failure.ts'
import { logGroupName } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import { isThere, orAbsent } from './patience.ts'

/** Made before the containers write to it: theirs would be kept for ever. */
export const ensureLogGroup = async (parts: SagemakerParts, deployment_id: string): Promise<void> => {
  const logs = parts.clients.logs()
  const named = { logGroupName: logGroupName(parts.stage, deployment_id) }
  try {
    await logs.send(new CreateLogGroupCommand(named)).catch((error: unknown) => {
      if (!isThere(error)) throw error
    })
    await logs.send(new PutRetentionPolicyCommand({ ...named, retentionInDays: parts.log_retention_days ?? 30 }))
  } catch (error) {
    throw awsFailure(error, 'Making the log group')
  }
}

export const removeLogGroup = async (parts: SagemakerParts, deployment_id: string): Promise<boolean> => {
  const named = { logGroupName: logGroupName(parts.stage, deployment_id) }
  return (await orAbsent(parts.clients.logs().send(new DeleteLogGroupCommand(named)), 'Removing the log group')) !== undefined
}
