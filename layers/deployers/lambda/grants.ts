import type { DeployerGrant, DeployerVerb } from '../grants.ts'

/**
 * What the platform's deploying functions may do with deployments' functions. Everything carries the stage in its name or path; roles can
 * be made and changed only with the permissions boundary, and passed to Lambda alone.
 */
const functions: DeployerGrant['resources'] = ({ partition, region, account, stage }) => {
  const arn = `arn:${partition}:lambda:${region}:${account}:function:aideploy-${stage}-m-*`
  return [arn, `${arn}:*`]
}
const roles: DeployerGrant['resources'] = ({ partition, account, stage }) => [
  `arn:${partition}:iam::${account}:role/aideploy/${stage}/aideploy-${stage}-m-*`,
]
/** IAM judges by an ARN without path what is asked of a role that is not there, and would refuse instead of saying so. */
const rolesOrNone: DeployerGrant['resources'] = (names) => [
  ...roles(names),
  `arn:${names.partition}:iam::${names.account}:role/aideploy-${names.stage}-m-*`,
]
const logGroups: DeployerGrant['resources'] = ({ partition, region, account, stage }) => {
  const arn = `arn:${partition}:logs:${region}:${account}:log-group:/aideploy/${stage}/m/*`
  return [arn, `${arn}:*`]
}
const scalableTargets: DeployerGrant['resources'] = ({ partition, region, account }) => [
  `arn:${partition}:application-autoscaling:${region}:${account}:scalable-target/*`,
]
const ofLambda = () => ({ StringEquals: { 'application-autoscaling:service-namespace': 'lambda' } })
const any: DeployerGrant['resources'] = () => ['*']

/** Path and name of the policy the data stack makes. */
const boundaryName = (stage: string): string => `aideploy/${stage}-boundary`

/** Verbs that make or change something, and those that look for what is left and end it; statements without verbs are for both. */
const making: readonly DeployerVerb[] = ['deploy', 'activate', 'hibernate', 'shift', 'reconcile']
const sweeping: readonly DeployerVerb[] = ['undeploy', 'reconcile']

export const grants: readonly DeployerGrant[] = [
  {
    sid: 'MakeModelFunctions',
    verbs: making,
    resources: functions,
    actions: [
      'lambda:CreateFunction',
      'lambda:UpdateFunctionCode',
      'lambda:UpdateFunctionConfiguration',
      'lambda:GetFunctionConfiguration',
      'lambda:PublishVersion',
      'lambda:ListVersionsByFunction',
      'lambda:CreateAlias',
      'lambda:UpdateAlias',
      'lambda:GetAlias',
      'lambda:TagResource',
      'lambda:CreateFunctionUrlConfig',
      'lambda:UpdateFunctionUrlConfig',
      'lambda:GetFunctionUrlConfig',
      'lambda:AddPermission',
      'lambda:GetPolicy',
      'lambda:PutFunctionConcurrency',
      'lambda:GetFunctionConcurrency',
      'lambda:DeleteFunctionConcurrency',
      'lambda:PutProvisionedConcurrencyConfig',
      'lambda:GetProvisionedConcurrencyConfig',
    ],
  },
  {
    sid: 'EndModelFunctions',
    resources: functions,
    actions: [
      'lambda:DeleteFunctionUrlConfig',
      'lambda:DeleteProvisionedConcurrencyConfig',
      'lambda:DeleteAlias',
      'lambda:DeleteFunction',
    ],
  },
  // A response stream is asked for under the same permission. Deploying calls a new version before anyone else may.
  {
    sid: 'CallModels',
    verbs: ['invoke', 'deploy', 'activate'],
    resources: functions,
    actions: ['lambda:InvokeFunction'],
  },
  {
    sid: 'RuntimeLayer',
    verbs: making,
    resources: ({ partition, region, account, stage }) => [
      `arn:${partition}:lambda:${region}:${account}:layer:aideploy-${stage}-*:*`,
    ],
    actions: ['lambda:GetLayerVersion'],
  },
  // Neither has resource-level permissions.
  { sid: 'LambdaAccount', verbs: making, resources: any, actions: ['lambda:GetAccountSettings'] },
  { sid: 'FindModelFunctions', verbs: sweeping, resources: any, actions: ['lambda:ListFunctions'] },
  {
    sid: 'MakeModelRoles',
    verbs: making,
    resources: roles,
    actions: ['iam:CreateRole', 'iam:PutRolePolicy', 'iam:PutRolePermissionsBoundary'],
    conditions: ({ partition, account, stage }) => ({
      StringEquals: { 'iam:PermissionsBoundary': `arn:${partition}:iam::${account}:policy/${boundaryName(stage)}` },
    }),
  },
  {
    sid: 'KeepModelRoles',
    verbs: making,
    resources: rolesOrNone,
    actions: ['iam:GetRole', 'iam:GetRolePolicy'],
  },
  { sid: 'ChangeModelRoles', verbs: making, resources: roles, actions: ['iam:TagRole', 'iam:UpdateAssumeRolePolicy'] },
  {
    sid: 'EndModelRoles',
    resources: rolesOrNone,
    actions: ['iam:ListRolePolicies', 'iam:DeleteRolePolicy', 'iam:DeleteRole'],
  },
  {
    sid: 'PassModelRoles',
    verbs: making,
    resources: roles,
    actions: ['iam:PassRole'],
    conditions: () => ({ StringEquals: { 'iam:PassedToService': 'lambda.amazonaws.com' } }),
  },
  {
    sid: 'FindModelRoles',
    verbs: sweeping,
    resources: ({ partition, account, stage }) => [`arn:${partition}:iam::${account}:role/aideploy/${stage}/`],
    actions: ['iam:ListRoles'],
  },
  {
    sid: 'ModelLogs',
    verbs: making,
    resources: logGroups,
    actions: ['logs:CreateLogGroup', 'logs:PutRetentionPolicy', 'logs:TagResource'],
  },
  { sid: 'EndModelLogs', verbs: sweeping, resources: logGroups, actions: ['logs:DeleteLogGroup'] },
  {
    sid: 'FindModelLogs',
    resources: ({ partition, region, account }) => [`arn:${partition}:logs:${region}:${account}:log-group:*`],
    actions: ['logs:DescribeLogGroups'],
  },
  {
    sid: 'WarmInstances',
    verbs: making,
    resources: scalableTargets,
    actions: ['application-autoscaling:RegisterScalableTarget', 'application-autoscaling:PutScalingPolicy'],
    conditions: ofLambda,
  },
  {
    sid: 'NoWarmInstances',
    resources: scalableTargets,
    actions: ['application-autoscaling:DeregisterScalableTarget'],
    conditions: ofLambda,
  },
  // Application Auto Scaling tries in its caller's name whether it may keep the alarms it scales by, once without naming one.
  {
    sid: 'WarmInstancesAlarms',
    verbs: making,
    resources: ({ partition, region, account, stage }) => {
      const alarm = `arn:${partition}:cloudwatch:${region}:${account}:alarm:`
      return [alarm, `${alarm}TargetTracking-function:aideploy-${stage}-m-*`]
    },
    actions: ['cloudwatch:PutMetricAlarm', 'cloudwatch:DeleteAlarms'],
  },
  // Describing, metrics and tags have no resource-level permissions.
  {
    sid: 'WatchModels',
    verbs: making,
    resources: any,
    actions: ['application-autoscaling:DescribeScalingPolicies', 'cloudwatch:DescribeAlarms', 'cloudwatch:GetMetricData'],
  },
  { sid: 'FindWarmInstances', resources: any, actions: ['application-autoscaling:DescribeScalableTargets'] },
  { sid: 'FindTagged', verbs: sweeping, resources: any, actions: ['tag:GetResources'] },
  {
    sid: 'AutoScalingRole',
    verbs: making,
    resources: ({ partition, account }) => [
      `arn:${partition}:iam::${account}:role/aws-service-role/lambda.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency`,
    ],
    actions: ['iam:CreateServiceLinkedRole'],
    conditions: () => ({ StringLike: { 'iam:AWSServiceName': 'lambda.application-autoscaling.amazonaws.com' } }),
  },
  // The function that answers at the platform's path calls models and may do nothing else with them.
  { sid: 'InvokeModels', verbs: ['invoke'], resources: functions, actions: ['lambda:InvokeFunction'] },
]
