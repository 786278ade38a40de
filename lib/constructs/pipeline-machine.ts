import { Duration, RemovalPolicy } from 'aws-cdk-lib'
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { IFunction } from 'aws-cdk-lib/aws-lambda'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import {
  Chain,
  DefinitionBody,
  Fail,
  type IChainable,
  type INextable,
  JsonPath,
  LogLevel,
  Map as MapState,
  Parallel,
  Pass,
  type State,
  StateMachine,
  TaskInput,
  Timeout,
} from 'aws-cdk-lib/aws-stepfunctions'
import { LambdaInvoke } from 'aws-cdk-lib/aws-stepfunctions-tasks'
import type { Construct } from 'constructs'
import { type PipelineRow, pendingLimit_s, pendingWait_s, type StepNode } from '../../layers/core/contract/pipelines.ts'
import { names } from '../names.ts'
import type { Stage } from '../stage.ts'
import { stepsOf } from '../units.ts'

interface Fold {
  readonly scope: Construct
  readonly row: PipelineRow
  readonly functions: ReadonlyMap<string, IFunction>
}

/**
 * A pipeline row as a state machine with the meaning of `layers/workflows/in-process.ts`: a step answers the merged state,
 * `each` runs its steps one element after another, `lastly` runs on the pipeline's input whatever happened before.
 */
export const pipelineMachine = (
  scope: Construct,
  row: PipelineRow,
  functions: ReadonlyMap<string, IFunction>,
  stage: Stage,
): StateMachine => {
  const name = names(stage).machine(row.id)
  const destination = new LogGroup(scope, `${row.id}-log`, {
    logGroupName: `/aws/vendedlogs/states/${name}`,
    retention: stage.logRetentionDays as RetentionDays,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  return new StateMachine(scope, row.id, {
    stateMachineName: name,
    role: machineRole(scope, row, functions, stage).withoutPolicyUpdates(),
    definitionBody: DefinitionBody.fromChainable(definition({ scope, row, functions })),
    tracingEnabled: stage.xray,
    logs: { destination, level: LogLevel.ALL, includeExecutionData: false },
  })
}

/** Exactly the steps' functions. CDK's own grant would add every version of them, which nothing invokes. */
const machineRole = (scope: Construct, row: PipelineRow, functions: ReadonlyMap<string, IFunction>, stage: Stage): Role => {
  const invoke = new PolicyStatement({
    actions: ['lambda:InvokeFunction'],
    resources: stepsOf(row).flatMap(({ name }) => functions.get(name)?.functionArn ?? []),
  })
  return new Role(scope, `${row.id}-role`, {
    assumedBy: new ServicePrincipal('states.amazonaws.com'),
    inlinePolicies: {
      steps: new PolicyDocument({
        statements: [invoke, new PolicyStatement({ actions: [...observing, ...(stage.xray ? tracing : [])], resources: ['*'] })],
      }),
    },
  })
}

/** Log delivery and tracing have no resource-level permission (Service Authorization Reference). */
const observing = [
  'logs:CreateLogDelivery',
  'logs:GetLogDelivery',
  'logs:UpdateLogDelivery',
  'logs:DeleteLogDelivery',
  'logs:ListLogDeliveries',
  'logs:PutResourcePolicy',
  'logs:DescribeResourcePolicies',
  'logs:DescribeLogGroups',
]
const tracing = ['xray:PutTraceSegments', 'xray:PutTelemetryRecords', 'xray:GetSamplingRules', 'xray:GetSamplingTargets']

const definition = (fold: Fold): IChainable => {
  const states = fold.row.nodes.flatMap((node): (State & INextable & IChainable)[] => {
    if (node.kind === 'step') return [task(fold, node, node.name, { state: JsonPath.objectAt('$') })]
    return node.kind === 'each' ? [eachState(fold, node.list, node.steps)] : []
  })
  const last = fold.row.nodes.find((node) => node.kind === 'lastly')
  return last === undefined ? Chain.start(sequence(states)) : withLastly(fold, sequence(states), last.step)
}

const sequence = ([first, ...rest]: readonly (IChainable & INextable)[]): IChainable => {
  if (first === undefined) throw new Error('A pipeline wants at least one step')
  return rest.reduce<Chain>((chain, state) => chain.next(state), Chain.start(first))
}

const task = (
  { scope, row, functions }: Fold,
  { name, timeout_s, retries }: StepNode,
  id: string,
  payload: Record<string, unknown>,
  resultPath?: string,
): LambdaInvoke => {
  const lambdaFunction = functions.get(name)
  if (lambdaFunction === undefined) throw new Error(`No function runs step ${name}`)
  const invoke = new LambdaInvoke(scope, id, {
    lambdaFunction,
    payload: TaskInput.fromObject({ pipeline: row.id, execution_id: JsonPath.stringAt('$$.Execution.Name'), ...payload }),
    payloadResponseOnly: true,
    resultPath,
    taskTimeout: Timeout.duration(Duration.seconds(timeout_s)),
    retryOnServiceExceptions: false,
  })
  invoke.addRetry({ errors: ['Final'], maxAttempts: 0 })
  invoke.addRetry({
    errors: ['Pending'],
    maxAttempts: pendingLimit_s / pendingWait_s,
    interval: Duration.seconds(pendingWait_s),
    backoffRate: 1,
  })
  if (retries > 0)
    invoke.addRetry({ maxAttempts: retries, interval: Duration.seconds(1), backoffRate: 2, maxDelay: Duration.seconds(30) })
  return invoke
}

const eachState = (fold: Fold, list: string, steps: readonly StepNode[]): MapState => {
  const seen = { state: JsonPath.objectAt('$.state'), item: JsonPath.objectAt('$.item') }
  const element = new Pass(fold.scope, `element of ${list}`, { outputPath: '$.item' })
  const map = new MapState(fold.scope, `each of ${list}`, {
    itemsPath: `$.${list}`,
    maxConcurrency: 1,
    itemSelector: { 'state.$': '$', 'item.$': '$$.Map.Item.Value' },
    resultPath: `$.${list}`,
  })
  return map.itemProcessor(sequence([...steps.map((step) => task(fold, step, step.name, seen, '$.item')), element]))
}

const withLastly = (fold: Fold, body: IChainable, last: StepNode): IChainable => {
  const { scope, row } = fold
  const input = { lastly: true, state: JsonPath.objectAt('$$.Execution.Input') }
  const guarded = new Parallel(scope, `body of ${row.id}`, { resultPath: '$.result' }).branch(body)
  const afterSuccess = task(fold, last, `${last.name} after success`, input, JsonPath.DISCARD)
  const afterFailure = task(
    fold,
    last,
    `${last.name} after failure`,
    { ...input, failure: JsonPath.objectAt('$.failure') },
    JsonPath.DISCARD,
  )
  const failed = new Fail(scope, `${row.id} failed`, { errorPath: '$.failure.Error', causePath: '$.failure.Cause' })
  guarded.addCatch(Chain.start(afterFailure).next(failed), { errors: ['States.ALL'], resultPath: '$.failure' })
  return Chain.start(guarded)
    .next(afterSuccess)
    .next(new Pass(scope, `result of ${row.id}`, { outputPath: '$.result[0]' }))
}
