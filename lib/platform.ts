import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { App, type Environment, Stack, type StackProps, Tags } from 'aws-cdk-lib'
import { Code } from 'aws-cdk-lib/aws-lambda'
import { Queue } from 'aws-cdk-lib/aws-sqs'
import { nagChecks } from './checks.ts'
import { publishedApart } from './constructs/runtime-files.ts'
import type { Parts } from './parts.ts'
import { ApiStack } from './stacks/api.ts'
import { DataStack } from './stacks/data.ts'
import { EventsStack } from './stacks/events.ts'
import { IdentityStack } from './stacks/identity.ts'
import { NetworkStack } from './stacks/network.ts'
import { ObservabilityStack } from './stacks/observability.ts'
import { OperationsStack } from './stacks/operations.ts'
import { PipelinesStack } from './stacks/pipelines.ts'
import { RuntimeStack } from './stacks/runtime.ts'
import { SchedulesStack } from './stacks/schedules.ts'
import { WebStack } from './stacks/web.ts'
import { readStage, type Stage, StageError } from './stage.ts'

export interface Platform {
  readonly app: App
  readonly stage: Stage
  readonly data: DataStack
  readonly api: ApiStack
  readonly pipelines: PipelinesStack
  readonly schedules: SchedulesStack
  readonly events: EventsStack
  /** Every stack in the order they are deployed. */
  readonly stacks: readonly Stack[]
}

/** The whole application on AWS. `bundles` is the folder `npm run build` fills; `checks` adds cdk-nag. */
export const platform = (options: { app?: App; bundles?: string; checks?: boolean } = {}): Platform => {
  const app = options.app ?? new App()
  const stage = readStage(Object(app.node.getAllContext()))
  const bundles = options.bundles ?? join(import.meta.dirname, '..', 'dist')
  if (!existsSync(bundles)) throw new StageError(`${bundles} is missing; run "npm run build" first`)
  const props = (part: string, description: string): [id: string, StackProps] => [
    `AiDeploy-${stage.name}-${part}`,
    { description: `AI Deploy: ${description}`, env: environment(stage), stackName: `AiDeploy-${stage.name}-${part}` },
  ]
  const stacks = allStacks(app, stage, bundles, props)
  // CloudFormation takes no tags for a dashboard in every region yet.
  Tags.of(app).add('aideploy:stage', stage.name, { excludeResourceTypes: ['AWS::CloudWatch::Dashboard'] })
  if (options.checks ?? true) nagChecks(app)
  return { app, stage, ...stacks, stacks: app.node.children.filter((child) => Stack.isStack(child)) }
}

type Props = (part: string, description: string) => [id: string, StackProps]

const allStacks = (app: App, stage: Stage, bundles: string, props: Props) => {
  const data = new DataStack(app, ...withStage(props('data', 'records and artifacts'), stage))
  const identity = new IdentityStack(app, ...withStage(props('identity', 'users'), stage))
  // An asset belongs to one stack; the folder is hashed and uploaded once all the same.
  const code = () => Code.fromAsset(bundles, { exclude: [...publishedApart] })
  const inside = stage.vpc ? new NetworkStack(app, ...withStage(props('network', 'private network'), stage)).network : undefined
  const base = (): Parts => ({ stage, data, code: code(), bundles, identity, network: inside })
  const make = <Made extends Stack>(Kind: StackOf<Made>, parts: Parts, part: string, description: string): Made => {
    const [id, stackProps] = props(part, description)
    return new Kind(app, id, { parts, ...stackProps })
  }
  const runtime = make(RuntimeStack, base(), 'runtime', 'the native runtime')
  const operations = make(OperationsStack, base(), 'operations', 'first admin and the end of deployments')
  operations.addStackDependency(runtime)
  const api = make(ApiStack, base(), 'api', 'HTTPS API')
  const told = (): Parts => ({ ...base(), publicUrl: api.publicUrl })
  const pipelines = make(PipelinesStack, told(), 'pipelines', 'pipelines')
  const schedules = make(SchedulesStack, told(), 'schedules', 'schedules')
  const events = make(EventsStack, told(), 'events', 'events and their subscribers')
  for (const stack of [api, pipelines, schedules, events]) stack.addStackDependency(operations)
  if (stage.web) make(WebStack, told(), 'web', 'site of the dashboard')
  const watched = { apiName: api.api.restApiName, deadLetters: deadLetterQueues(app) }
  // CloudFormation takes no stack without a resource.
  if (stage.alarms || stage.dashboard || stage.monthlyBudgetUsd !== undefined) {
    const [id, stackProps] = withStage(props('observability', 'alarms, budget, dashboard'), stage)
    new ObservabilityStack(app, id, { ...stackProps, watched })
  }
  return { data, api, pipelines, schedules, events }
}

const withStage = ([id, stackProps]: [string, StackProps], stage: Stage): [string, StackProps & { stage: Stage }] => [
  id,
  { ...stackProps, stage },
]

type StackOf<Made> = new (scope: App, id: string, props: StackProps & { parts: Parts }) => Made

const environment = ({ account, region }: Stage): Environment => ({
  ...(account !== undefined && { account }),
  ...(region !== undefined && { region }),
})

/** A queue either has a dead-letter queue or is one. */
const deadLetterQueues = (app: App): Queue[] =>
  app.node.findAll().filter((node): node is Queue => node instanceof Queue && node.deadLetterQueue === undefined)
