import { Duration, RemovalPolicy } from 'aws-cdk-lib'
import { Effect, PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import {
  Architecture,
  CfnEventInvokeConfig,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
  Tracing,
} from 'aws-cdk-lib/aws-lambda'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { IQueue } from 'aws-cdk-lib/aws-sqs'
import type { Construct } from 'constructs'
import { environmentOf } from '../environment.ts'
import { names } from '../names.ts'
import type { Parts } from '../parts.ts'
import { statementsOf } from '../statements.ts'
import type { Unit } from '../units.ts'
import { placement } from './network.ts'
import { runtimeLayer } from './runtime-files.ts'

interface PlatformFunctionProps extends Parts {
  readonly unit: Unit
  /** What the poller of its event source does in its name. */
  readonly source?: readonly PolicyStatement[]
  /** Takes what fails when nobody waits for the answer, after `retries` (default 2, at most 2). */
  readonly failures?: { queue: IQueue; retries?: number }
}

/**
 * A function of the platform: bundle, log group and a role of its own that holds exactly what its rows' capabilities mean.
 * The environment names the same parts the role may touch.
 */
export const platformFunction = (
  scope: Construct,
  { unit, source = [], failures, ...parts }: PlatformFunctionProps,
): LambdaFunction => {
  const { stage, code } = parts
  const logGroup = new LogGroup(scope, `${unit.name}-logs`, {
    logGroupName: names(stage).logGroup(unit.name),
    retention: stage.logRetentionDays as RetentionDays,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  const place = placement(unit, parts.network)
  const own = [
    logStatement(logGroup),
    ...source,
    ...(failures === undefined
      ? []
      : [new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [failures.queue.queueArn] })]),
    ...place.statements,
    ...(stage.xray ? [tracing()] : []),
  ]
  const role = new Role(scope, `${unit.name}-role`, {
    assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
    inlinePolicies: { capabilities: new PolicyDocument({ statements: [...statementsOf(scope, unit, parts), ...own] }) },
  })
  const made = new LambdaFunction(scope, unit.name, {
    functionName: names(stage).functionName(unit.name),
    description: `${unit.kind}: ${unit.files.join(', ')}`.slice(0, 256),
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    handler: `${unit.name}.handler`,
    code,
    role: role.withoutPolicyUpdates(),
    logGroup,
    loggingFormat: LoggingFormat.JSON,
    timeout: Duration.seconds(unit.timeout_s),
    memorySize: Math.min(unit.memory_mb, stage.mostMemoryMb),
    tracing: stage.xray ? Tracing.ACTIVE : Tracing.DISABLED,
    environment: environmentOf(scope, unit, parts),
    ...runtimeLayer(scope, unit, parts),
    ...place.props,
  })
  made.node.addDependency(role)
  if (failures !== undefined) keepFailures(made, failures)
  return made
}

/** Lambda itself repeats an asynchronous call that failed; what fails for good goes to the queue with its event. */
const keepFailures = (made: LambdaFunction, { queue, retries = 2 }: { queue: IQueue; retries?: number }): void => {
  new CfnEventInvokeConfig(made, 'failures', {
    functionName: made.functionName,
    qualifier: '$LATEST',
    maximumRetryAttempts: Math.min(2, retries),
    maximumEventAgeInSeconds: 300,
    destinationConfig: { onFailure: { destination: queue.queueArn } },
  })
}

const logStatement = (logGroup: LogGroup): PolicyStatement =>
  new PolicyStatement({
    effect: Effect.ALLOW,
    actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
    resources: [logGroup.logGroupArn],
  })

/** X-Ray has no resource-level permission. */
const tracing = (): PolicyStatement =>
  new PolicyStatement({ actions: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], resources: ['*'] })
