import type { Target } from './targets.ts'

/** What a capability of the tables means in IAM. Nothing else grants anything; exact actions, never a service's `grant…` bundle. */
export interface Grant {
  target: Target
  actions: readonly string[]
  conditions?: Record<string, Record<string, string | string[]>>
  /** Why a capability grants nothing here. */
  reason?: string
}

const broughtByDeployers = 'what a verb needs stands beside each deployer, in `layers/deployers/*/grants.ts`'

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
  // Uploads that nobody finished and files that nobody needs any more.
  'artifacts:remove': [
    { target: 'objects', actions: ['s3:DeleteObject', 's3:AbortMultipartUpload'] },
    { target: 'bucket', actions: ['s3:ListBucket'] },
  ],
  'workflows:start': [
    { target: 'machines', actions: ['states:StartExecution'] },
    { target: 'executions', actions: ['states:DescribeExecution'] },
  ],
  // Whether somebody has cancelled an execution.
  'workflows:status': [
    { target: 'executions', actions: ['states:DescribeExecution'] },
    { target: 'table', actions: ['dynamodb:GetItem'] },
  ],
  'events:publish': [{ target: 'eventBus', actions: ['events:PutEvents'] }],
  'secrets:read': [{ target: 'secrets', actions: ['secretsmanager:GetSecretValue'] }],
  'secrets:write': [
    {
      target: 'secrets',
      actions: [
        'secretsmanager:CreateSecret',
        'secretsmanager:PutSecretValue',
        'secretsmanager:DeleteSecret',
        'secretsmanager:RestoreSecret',
        'secretsmanager:TagResource',
      ],
    },
  ],
  'identity:use': [
    {
      target: 'userPool',
      actions: [
        'cognito-idp:AdminInitiateAuth',
        'cognito-idp:AdminCreateUser',
        'cognito-idp:AdminSetUserPassword',
        'cognito-idp:AdminUpdateUserAttributes',
        'cognito-idp:AdminDeleteUser',
      ],
    },
  ],
  // Makes users and takes back what it could not finish; signs nobody in.
  'identity:enrol': [
    {
      target: 'userPool',
      actions: [
        'cognito-idp:AdminCreateUser',
        'cognito-idp:AdminSetUserPassword',
        'cognito-idp:AdminUpdateUserAttributes',
        'cognito-idp:AdminDeleteUser',
      ],
    },
  ],
  'identity:verify': [{ target: 'none', actions: [], reason: 'tokens are proven by the user pool’s public keys' }],
  'onnxruntime:load': [{ target: 'none', actions: [], reason: 'the layer is part of the function' }],
  'deployers:deploy': [{ target: 'none', actions: [], reason: broughtByDeployers }],
  'deployers:invoke': [{ target: 'none', actions: [], reason: broughtByDeployers }],
  'deployers:hibernate': [{ target: 'none', actions: [], reason: broughtByDeployers }],
  'deployers:activate': [{ target: 'none', actions: [], reason: broughtByDeployers }],
  'deployers:undeploy': [{ target: 'none', actions: [], reason: broughtByDeployers }],
  'deployers:shift': [{ target: 'none', actions: [], reason: broughtByDeployers }],
  'deployers:reconcile': [{ target: 'none', actions: [], reason: broughtByDeployers }],
  // The catalogue in force is a document.
  'prices:read': [{ target: 'table', actions: ['dynamodb:GetItem', 'dynamodb:Query'] }],
  'prices:refresh': [{ target: 'anything', actions: ['pricing:GetProducts'] }],
  'mail:send': [{ target: 'mailIdentities', actions: ['ses:SendEmail', 'ses:SendRawEmail'] }],
  // Work on models too large for a function and training too long for one; the role is the one the pipelines stack makes for it.
  'processing:run': [
    {
      target: 'processingJobs',
      actions: ['sagemaker:CreateProcessingJob', 'sagemaker:DescribeProcessingJob', 'sagemaker:AddTags'],
    },
    {
      target: 'trainingJobs',
      actions: ['sagemaker:CreateTrainingJob', 'sagemaker:DescribeTrainingJob', 'sagemaker:AddTags'],
    },
    {
      target: 'processingRole',
      actions: ['iam:PassRole'],
      conditions: { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } },
    },
  ],
  // What is left of it when its optimisation has ended.
  'processing:end': [
    { target: 'processingJobs', actions: ['sagemaker:StopProcessingJob'] },
    { target: 'trainingJobs', actions: ['sagemaker:StopTrainingJob'] },
    { target: 'anything', actions: ['sagemaker:ListProcessingJobs', 'sagemaker:ListTrainingJobs'] },
  ],
}
