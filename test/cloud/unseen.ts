/**
 * Actions a role has that a life without failures never uses, each with why it must be there. A row that excuses nothing fails the test;
 * `seen_elsewhere` rows excuse only what another caller was seen to use.
 */
export interface Excuse {
  caller: RegExp
  action: RegExp
  reason: string
  seen_elsewhere?: boolean
}

/** A write of records is put, remove and check in one call, a reading get and query, and so on: who uses one of these may use them all. */
export const ports: readonly (readonly string[])[] = [
  ['dynamodb:GetItem', 'dynamodb:Query'],
  ['dynamodb:PutItem', 'dynamodb:DeleteItem', 'dynamodb:ConditionCheckItem'],
  ['s3:GetObject', 's3:ListBucket'],
  // A file of more than one part is given up part by part.
  ['s3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'],
  ['states:StartExecution', 'states:DescribeExecution'],
]

const unit = (names: string): RegExp => new RegExp(`^aideploy-dev-(${names})$`)
const deploying = unit('step-(deploy-revision|carry-out-transition)|schedule-reconcile-deployments')
const provisioning = /^(application-autoscaling|cloudwatch|iam|lambda|logs|sagemaker|s3|tag):/

export const excuses: readonly Excuse[] = [
  {
    caller: /:stateMachine:/,
    action: /^(logs|xray):/,
    reason: 'Step Functions itself delivers the logs and traces of its executions, in the name of the machine',
  },
  {
    caller: /./,
    action: /^s3:(AbortMultipartUpload|ListMultipartUploadParts)$/,
    reason: 'An upload that breaks off is given up, and S3 says which part is wrong only by its list',
  },
  {
    caller: /-m-dep_/,
    action: /^dynamodb:/,
    seen_elsewhere: true,
    reason: 'A deployment that nobody calls looks up no caller and writes no usage',
  },
  {
    caller: unit('deliver-keep-audit'),
    action: /^dynamodb:GetItem$/,
    seen_elsewhere: true,
    reason: 'A put whose answer was lost is recognised by reading it',
  },
  {
    caller: unit('authorizer|analytics|schedule-refresh-prices'),
    action: /^dynamodb:(PutItem|DeleteItem|ConditionCheckItem)$/,
    seen_elsewhere: true,
    reason: 'Notes when a key was last used, or which held-back price was accepted; neither comes up here',
  },
  {
    caller: unit('step-(plan-candidates|choose-candidate|clean-up-optimization|settle-deployment)|first-admin'),
    action: /^(dynamodb:(PutItem|DeleteItem|ConditionCheckItem)|cognito-idp:AdminDeleteUser)$/,
    seen_elsewhere: true,
    reason: 'Writes what failed, or takes it back',
  },
  {
    caller: unit('schedule-(accrue-standing-costs|roll-up-usage|sweep-storage|archive-unused-models)'),
    action: /^(dynamodb|s3):/,
    seen_elsewhere: true,
    reason: 'Works on what is hours or months old; this life is shorter',
  },
  {
    caller: unit('schedule-repair-in-flight'),
    action: /^(dynamodb|s3|states):/,
    seen_elsewhere: true,
    reason: 'Ends and starts again what was lost half-way; nothing is lost here',
  },
  {
    caller: unit('step-(build|measure)-candidate|step-clean-up-optimization|schedule-repair-in-flight'),
    action: /^(sagemaker:(\w+(Processing|Training)Jobs?|AddTags)|iam:PassRole)$/,
    reason:
      'Models too large for a function are worked on by a processing job, long training by a training job; the models here are small',
  },
  {
    caller: unit('step-measure-candidate'),
    action: /^s3:(PutObject|DeleteObject)$/,
    seen_elsewhere: true,
    reason: 'The order of a processing job is a file; the models here are small',
  },
  {
    caller: unit('inference-stream'),
    action: /^(s3:\w+|sagemaker:InvokeEndpointAsync)$/,
    reason: 'Asynchronous endpoints of SageMaker take their requests from the bucket and leave their answers there',
  },
  {
    caller: deploying,
    action:
      /^(lambda:(UpdateFunctionUrlConfig|DeleteFunctionConcurrency)|iam:(PutRolePermissionsBoundary|UpdateAssumeRolePolicy))$/,
    reason: 'Puts right what somebody changed by hand, and gives reserved concurrency back where the quota has no room for it',
  },
  {
    caller: unit('schedule-reconcile-deployments'),
    action: /^dynamodb:|^(application-autoscaling|cloudwatch|iam|lambda|logs|sagemaker|s3|tag):/,
    seen_elsewhere: true,
    reason: 'Makes and removes what has drifted with the calls of deploying and removing; nothing has drifted here',
  },
  {
    caller: unit('step-carry-out-transition'),
    action: provisioning,
    seen_elsewhere: true,
    reason: 'Waking a deployment that was never up deploys it, with the calls of deploying',
  },
  {
    caller: unit('step-deploy-revision'),
    action: /^(application-autoscaling|lambda|sagemaker|iam|logs|s3):/,
    seen_elsewhere: true,
    reason: 'A revision that comes up resting puts itself to sleep, and one that fails takes back what it made',
  },
]
