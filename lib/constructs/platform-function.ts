import { ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib'
import { Effect, PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Architecture, type Code, Function as LambdaFunction, LoggingFormat, Runtime } from 'aws-cdk-lib/aws-lambda'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'
import { pipelines } from '../../layers/core/contract/pipelines.ts'
import { capabilities, type Grant } from '../grants.ts'
import { names } from '../names.ts'
import type { Data } from '../stacks/data.ts'
import type { Stage } from '../stage.ts'
import type { Unit } from '../units.ts'

interface PlatformFunctionProps {
  readonly unit: Unit
  readonly stage: Stage
  readonly data: Data
  /** Folder with the bundles. */
  readonly code: Code
}

/**
 * A function of the platform: bundle, log group and a role of its own that holds exactly what its rows' capabilities mean.
 * The environment names the same parts the role may touch.
 */
export const platformFunction = (scope: Construct, { unit, stage, data, code }: PlatformFunctionProps): LambdaFunction => {
  const functionName = names(stage).functionName(unit.name)
  const logGroup = new LogGroup(scope, `${unit.name}-logs`, {
    logGroupName: `/aideploy/${stage.name}/${unit.name}`,
    retention: stage.logRetentionDays as RetentionDays,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  const role = new Role(scope, `${unit.name}-role`, {
    assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
    inlinePolicies: {
      capabilities: new PolicyDocument({ statements: [...statements(scope, unit, stage, data), logStatement(logGroup)] }),
    },
  })
  return new LambdaFunction(scope, unit.name, {
    functionName,
    description: `${unit.kind}: ${unit.files.join(', ')}`.slice(0, 256),
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    handler: `${unit.name}.handler`,
    code,
    role,
    logGroup,
    loggingFormat: LoggingFormat.JSON,
    timeout: Duration.seconds(unit.timeout_s),
    memorySize: unit.memory_mb,
    environment: {
      AIDEPLOY_STAGE: stage.name,
      AIDEPLOY_TABLE: data.table.tableName,
      AIDEPLOY_BUCKET: data.artifacts.bucketName,
      NODE_OPTIONS: '--enable-source-maps',
    },
  })
}

const statements = (scope: Construct, unit: Unit, stage: Stage, data: Data): PolicyStatement[] =>
  unit.needs.flatMap((need) => {
    const grants = capabilities[need]
    if (grants === undefined)
      throw new Error(
        `${unit.name} needs ${need}, which lib/grants.ts does not know; it knows ${Object.keys(capabilities).join(', ')}`,
      )
    return grants
      .filter((grant) => grant.actions.length > 0)
      .map(
        (grant) =>
          new PolicyStatement({
            effect: Effect.ALLOW,
            actions: [...grant.actions],
            resources: resources(scope, grant, stage, data),
          }),
      )
  })

const resources = (scope: Construct, { target }: Grant, stage: Stage, data: Data): string[] => {
  const arn = (resource: string, resourceName: string): string =>
    Stack.of(scope).formatArn({ service: 'states', resource, resourceName, arnFormat: ArnFormat.COLON_RESOURCE_NAME })
  if (target === 'table')
    return [data.table.tableArn, `${data.table.tableArn}/index/lookup`, `${data.table.tableArn}/index/worklist`]
  if (target === 'bucket') return [data.artifacts.bucketArn]
  if (target === 'objects') return [data.artifacts.arnForObjects('*')]
  if (target === 'machines') return Object.keys(pipelines).map((id) => arn('stateMachine', names(stage).machine(id)))
  return target === 'executions' ? Object.keys(pipelines).map((id) => arn('execution', `${names(stage).machine(id)}:*`)) : []
}

const logStatement = (logGroup: LogGroup): PolicyStatement =>
  new PolicyStatement({
    effect: Effect.ALLOW,
    actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
    resources: [logGroup.logGroupArn],
  })
