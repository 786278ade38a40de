/**
 * Every resource of an IAM statement that is no exact ARN, with why it cannot be one. A test walks all statements of all stacks: another
 * wildcard fails it, and so does a row that none needs any more. Sources: Service Authorization Reference, per service.
 */
export interface Wildcard {
  /** Matches the resource, tokens written as `${Name}`. */
  resource: RegExp
  /** Actions it is allowed for. */
  actions: readonly RegExp[]
  /** Whether the statement must carry a condition that narrows it. */
  conditioned?: boolean
  reason: string
}

const any = /^\*$/

export const wildcards: readonly Wildcard[] = [
  {
    resource: any,
    actions: [
      /^logs:(Create|Get|Update|Delete|List)LogDeliver(y|ies)$/,
      /^logs:(Put|Describe)Resource(Policy|Policies)$/,
      /^logs:DescribeLogGroups$/,
    ],
    reason: 'Log delivery of Step Functions has no resource-level permission',
  },
  {
    resource: any,
    actions: [/^xray:(PutTraceSegments|PutTelemetryRecords|GetSamplingRules|GetSamplingTargets)$/],
    reason: 'X-Ray has no resource-level permission',
  },
  { resource: any, actions: [/^ecr:GetAuthorizationToken$/], reason: 'A token for a registry has no resource-level permission' },
  {
    resource: any,
    actions: [/^cloudwatch:PutMetricData$/],
    conditioned: true,
    reason: 'Metrics have no resource-level permission; the namespace is a condition',
  },
  {
    resource: any,
    actions: [
      /^ec2:(Create|Delete|Describe)NetworkInterfaces?$/,
      /^ec2:DescribeSubnets$/,
      /^ec2:(Una|A)ssignPrivateIpAddresses$/,
    ],
    reason:
      'Lambda attaches functions to subnets with these; describing has no resource-level permission and interfaces have no names',
  },
  {
    resource: any,
    actions: [/^lambda:(GetAccountSettings|ListFunctions)$/],
    reason: 'Facts of the account and lists have no resource-level permission',
  },
  {
    resource: any,
    actions: [
      /^application-autoscaling:Describe(ScalableTargets|ScalingPolicies)$/,
      /^cloudwatch:GetMetricData$/,
      /^tag:GetResources$/,
    ],
    reason: 'Describing, reading metrics and finding by tag have no resource-level permission',
  },
  { resource: any, actions: [/^pricing:GetProducts$/], reason: 'The price list has no resource-level permission' },
  {
    resource: /^\$\{.*artifacts.*Arn.*\}\/(\*|deployments\/\*|samples\/\*|scratch\/\*)$/,
    actions: [/^s3:/],
    reason: 'Objects of the artifact bucket get their names at run time; the bucket holds nothing else',
  },
  {
    resource: /:execution:aideploy-[a-z0-9]+-[a-z-]+:\*$/,
    actions: [/^states:/],
    reason: 'Executions get their names when they start',
  },
  {
    resource: /:function:aideploy-[a-z0-9]+-m-\*(:\*)?$/,
    actions: [/^lambda:/],
    reason: 'Functions of deployments are named after their deployment, at run time',
  },
  {
    resource: /:layer:aideploy-[a-z0-9]+-\*:\*$/,
    actions: [/^lambda:GetLayerVersion$/],
    reason: 'Versions of the layer are numbered at deploy time',
  },
  {
    resource: /:role\/aideploy\/[a-z0-9/*-]+$/,
    actions: [/^iam:/],
    reason: 'Roles of deployments are named after their deployment; making one takes the permissions boundary',
  },
  {
    resource: /:role\/aideploy-[a-z0-9]+-[ms]-\*$/,
    actions: [/^iam:(GetRole|GetRolePolicy|ListRolePolicies|DeleteRolePolicy|DeleteRole)$/],
    reason: 'The same names without their path: how IAM judges a question about a role that is not there',
  },
  {
    resource: /:alarm:TargetTracking-(function:|endpoint\/|inference-component\/)aideploy-[a-z0-9]+-[ms]-\*$/,
    actions: [/^cloudwatch:(PutMetricAlarm|DeleteAlarms)$/],
    reason: 'Application Auto Scaling names its alarms after what scales and an id of its own',
  },
  {
    resource: /:log-group:\/aideploy\/[a-z0-9]+\/m\/\*(:\*)?$/,
    actions: [/^logs:/],
    reason: 'Log groups of deployments are named after their deployment, at run time',
  },
  {
    resource: /:log-group:\/aws\/sagemaker\/[A-Za-z*]+(:\*)?$/,
    actions: [/^logs:/],
    reason: 'SageMaker names log groups and streams itself, below this prefix',
  },
  {
    resource: /:log-group:\*$/,
    actions: [/^logs:DescribeLogGroups$/],
    reason: 'Listing groups by prefix is asked of all of them',
  },
  {
    resource: /:ecr:(\*|\$\{AWS::Region\}|[a-z0-9-]+):\*:repository\/\*$/,
    actions: [/^ecr:(BatchCheckLayerAvailability|BatchGetImage|GetDownloadUrlForLayer)$/],
    reason: 'AWS publishes its images from accounts of its own that differ by region',
  },
  {
    resource: /:s3:::cdk-hnb659fds-assets-.*\/\*$/,
    actions: [/^s3:GetObject$/],
    reason: 'Published programs are named after their content',
  },
  {
    resource: /:application-autoscaling:.*:scalable-target\/\*$/,
    actions: [/^application-autoscaling:/],
    conditioned: true,
    reason: 'Scalable targets get their ids from the service; the namespace is a condition',
  },
  {
    resource: /^arn:aws[a-z-]*:s3:::[a-z0-9.-]+\/\*$/,
    actions: [/^s3:(Replicate(Object|Delete|Tags)|ObjectOwnerOverrideToBucketOwner)$/],
    reason: 'Replication writes every object into the bucket the stage names',
  },
  {
    resource: any,
    actions: [
      /^sagemaker:List(Models|Endpoints|EndpointConfigs|InferenceComponents|ProcessingJobs|TrainingJobs)$/,
      /^cloudwatch:DescribeAlarms$/,
    ],
    reason: 'Lists have no resource-level permission',
  },
  {
    resource: /:sagemaker:.*:(model|endpoint|endpoint-config|inference-component)\/aideploy-[a-z0-9]+-s-\*$/,
    actions: [/^sagemaker:/],
    reason: 'What SageMaker runs is named after its deployment, at run time',
  },
  {
    resource: /:alarm:aideploy-[a-z0-9]+-s-\*$/,
    actions: [/^cloudwatch:/],
    reason: 'Alarms that guard an endpoint’s update are named after its deployment, at run time',
  },
  {
    resource: /:log-group:\/aws\/sagemaker\/(Endpoints|InferenceComponents)\/aideploy-[a-z0-9]+-s-\*(:\*)?$/,
    actions: [/^logs:/],
    reason: 'SageMaker names the log group of an endpoint or a component after it',
  },
  {
    resource: /:(processing-job\/aideploy-[a-z0-9]+-p-|training-job\/aideploy-[a-z0-9]+-t-)\*$/,
    actions: [/^sagemaker:/],
    reason: 'Processing and training jobs are named after their order, at run time',
  },
]
