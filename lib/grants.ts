/** What a capability of the tables means in IAM. Nothing else grants anything; exact actions, never a service's `grant…` bundle. */
export interface Grant {
  target: 'table' | 'bucket' | 'objects' | 'machines' | 'executions' | 'none'
  actions: readonly string[]
  /** Why a capability grants nothing yet. */
  reason?: string
}

const deployersElsewhere = 'no AWS deployer is part of this version; each brings its IAM actions as `needs`'

export const capabilities: Record<string, readonly Grant[]> = {
  'records:read': [{ target: 'table', actions: ['dynamodb:GetItem', 'dynamodb:Query'] }],
  // A put whose answer was lost is recognised by reading it.
  'records:write': [
    { target: 'table', actions: ['dynamodb:PutItem', 'dynamodb:DeleteItem', 'dynamodb:ConditionCheckItem', 'dynamodb:GetItem'] },
  ],
  'artifacts:read': [
    { target: 'objects', actions: ['s3:GetObject'] },
    { target: 'bucket', actions: ['s3:ListBucket'] },
  ],
  // Joining the parts of an upload reads the object back for its sha256.
  'artifacts:write': [
    {
      target: 'objects',
      actions: ['s3:PutObject', 's3:GetObject', 's3:DeleteObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'],
    },
  ],
  'workflows:start': [
    { target: 'machines', actions: ['states:StartExecution'] },
    { target: 'executions', actions: ['states:DescribeExecution'] },
  ],
  'identity:use': [{ target: 'none', actions: [], reason: 'the AWS identity adapter is not part of this version' }],
  'deployers:deploy': [{ target: 'none', actions: [], reason: deployersElsewhere }],
  'deployers:invoke': [{ target: 'none', actions: [], reason: deployersElsewhere }],
  'deployers:hibernate': [{ target: 'none', actions: [], reason: deployersElsewhere }],
  'deployers:activate': [{ target: 'none', actions: [], reason: deployersElsewhere }],
  'deployers:undeploy': [{ target: 'none', actions: [], reason: deployersElsewhere }],
}
