import type { DeployerGrant, DeployerVerb } from '../grants.ts'

/** What the platform may do with SageMaker. Everything it makes carries the stage in its name; roles are passed to SageMaker alone. */
const named =
  (...kinds: string[]): DeployerGrant['resources'] =>
  ({ partition, region, account, stage }) =>
    kinds.map((kind) => `arn:${partition}:sagemaker:${region}:${account}:${kind}/aideploy-${stage}-s-*`)
const any: DeployerGrant['resources'] = () => ['*']
const roles: DeployerGrant['resources'] = ({ partition, account, stage }) => [
  `arn:${partition}:iam::${account}:role/aideploy/${stage}/aideploy-${stage}-s-*`,
]

/** IAM judges by an ARN without path what is asked of a role that is not there, and would refuse instead of saying so. */
const rolesOrNone: DeployerGrant['resources'] = (names) => [
  ...roles(names),
  `arn:${names.partition}:iam::${names.account}:role/aideploy-${names.stage}-s-*`,
]
const scalableTargets: DeployerGrant['resources'] = ({ partition, region, account }) => [
  `arn:${partition}:application-autoscaling:${region}:${account}:scalable-target/*`,
]
const ofSagemaker = () => ({ StringEquals: { 'application-autoscaling:service-namespace': 'sagemaker' } })
const alarms: DeployerGrant['resources'] = ({ partition, region, account, stage }) => [
  `arn:${partition}:cloudwatch:${region}:${account}:alarm:aideploy-${stage}-s-*`,
]
const logGroups: DeployerGrant['resources'] = ({ partition, region, account, stage }) => {
  const group = (kind: string) =>
    `arn:${partition}:logs:${region}:${account}:log-group:/aws/sagemaker/${kind}/aideploy-${stage}-s-*`
  return ['Endpoints', 'InferenceComponents'].map(group).flatMap((arn) => [arn, `${arn}:*`])
}

/** Verbs that make or change something; statements without verbs are also for those that end it. */
const making: readonly DeployerVerb[] = ['deploy', 'activate', 'hibernate', 'shift', 'reconcile']

export const grants: readonly DeployerGrant[] = [
  {
    sid: 'SagemakerMake',
    verbs: making,
    resources: named('model', 'endpoint', 'endpoint-config', 'inference-component'),
    actions: [
      'sagemaker:CreateModel',
      'sagemaker:DescribeModel',
      'sagemaker:CreateEndpointConfig',
      'sagemaker:DescribeEndpointConfig',
      'sagemaker:CreateEndpoint',
      'sagemaker:UpdateEndpoint',
      'sagemaker:UpdateEndpointWeightsAndCapacities',
      'sagemaker:CreateInferenceComponent',
      // Application Auto Scaling tries in its caller's name whether it may change the copies.
      'sagemaker:UpdateInferenceComponentRuntimeConfig',
      'sagemaker:AddTags',
    ],
  },
  {
    sid: 'SagemakerEnd',
    resources: named('model', 'endpoint', 'endpoint-config', 'inference-component'),
    actions: [
      'sagemaker:DeleteModel',
      'sagemaker:DeleteEndpointConfig',
      'sagemaker:DescribeEndpoint',
      'sagemaker:DeleteEndpoint',
      'sagemaker:DescribeInferenceComponent',
      'sagemaker:DeleteInferenceComponent',
    ],
  },
  {
    sid: 'SagemakerCalls',
    verbs: ['invoke'],
    resources: named('endpoint', 'inference-component'),
    actions: ['sagemaker:InvokeEndpoint', 'sagemaker:InvokeEndpointAsync'],
  },
  // Lists have no resource-level permissions.
  {
    sid: 'SagemakerLists',
    resources: any,
    actions: [
      'sagemaker:ListModels',
      'sagemaker:ListEndpoints',
      'sagemaker:ListEndpointConfigs',
      'sagemaker:ListInferenceComponents',
      'application-autoscaling:DescribeScalableTargets',
      'cloudwatch:DescribeAlarms',
    ],
  },
  {
    sid: 'SagemakerMakeRoles',
    verbs: making,
    resources: roles,
    actions: ['iam:CreateRole', 'iam:PutRolePolicy'],
    conditions: ({ partition, account, stage }) => ({
      StringEquals: { 'iam:PermissionsBoundary': `arn:${partition}:iam::${account}:policy/aideploy/${stage}-boundary` },
    }),
  },
  { sid: 'SagemakerKeepRoles', verbs: making, resources: rolesOrNone, actions: ['iam:GetRolePolicy'] },
  { sid: 'SagemakerTagRoles', verbs: making, resources: roles, actions: ['iam:TagRole'] },
  {
    sid: 'SagemakerEndRoles',
    resources: rolesOrNone,
    actions: ['iam:ListRolePolicies', 'iam:DeleteRolePolicy', 'iam:DeleteRole'],
  },
  {
    sid: 'SagemakerPassRoles',
    verbs: making,
    resources: roles,
    actions: ['iam:PassRole'],
    conditions: () => ({ StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } }),
  },
  {
    sid: 'SagemakerScaling',
    verbs: making,
    resources: scalableTargets,
    actions: ['application-autoscaling:RegisterScalableTarget', 'application-autoscaling:PutScalingPolicy'],
    conditions: ofSagemaker,
  },
  {
    sid: 'SagemakerEndScaling',
    resources: scalableTargets,
    actions: ['application-autoscaling:DeregisterScalableTarget'],
    conditions: ofSagemaker,
  },
  { sid: 'SagemakerAlarms', verbs: making, resources: alarms, actions: ['cloudwatch:PutMetricAlarm', 'cloudwatch:TagResource'] },
  { sid: 'SagemakerEndAlarms', resources: alarms, actions: ['cloudwatch:DeleteAlarms'] },
  // Application Auto Scaling tries in its caller's name whether it may keep the alarms it scales by, once without naming one.
  {
    sid: 'SagemakerScalingAlarms',
    verbs: making,
    resources: ({ partition, region, account, stage }) => {
      const alarm = `arn:${partition}:cloudwatch:${region}:${account}:alarm:`
      return [alarm, ...['endpoint', 'inference-component'].map((kind) => `${alarm}TargetTracking-${kind}/aideploy-${stage}-s-*`)]
    },
    actions: ['cloudwatch:PutMetricAlarm', 'cloudwatch:DeleteAlarms'],
  },
  {
    sid: 'SagemakerLogs',
    verbs: making,
    resources: logGroups,
    actions: ['logs:CreateLogGroup', 'logs:PutRetentionPolicy'],
  },
  { sid: 'SagemakerEndLogs', resources: logGroups, actions: ['logs:DeleteLogGroup'] },
  {
    sid: 'SagemakerScalingRole',
    verbs: making,
    resources: ({ partition, account }) => [
      `arn:${partition}:iam::${account}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint`,
    ],
    actions: ['iam:CreateServiceLinkedRole'],
    conditions: () => ({ StringLike: { 'iam:AWSServiceName': 'sagemaker.application-autoscaling.amazonaws.com' } }),
  },
]
