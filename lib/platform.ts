import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { App, type Stack, Tags, Validations } from 'aws-cdk-lib'
import { Code } from 'aws-cdk-lib/aws-lambda'
import { AwsSolutionsChecks } from 'cdk-nag'
import { acknowledgements } from './acknowledgements.ts'
import { ApiStack } from './stacks/api.ts'
import { DataStack } from './stacks/data.ts'
import { PipelinesStack } from './stacks/pipelines.ts'
import { SchedulesStack } from './stacks/schedules.ts'
import { Stage } from './stage.ts'

export interface Platform {
  readonly app: App
  readonly data: DataStack
  readonly api: ApiStack
  readonly pipelines: PipelinesStack
  readonly schedules: SchedulesStack
}

/** The whole application on AWS. `bundles` is the folder `npm run build` fills; `checks` adds cdk-nag. */
export const platform = (options: { app?: App; bundles?: string; checks?: boolean } = {}): Platform => {
  const app = options.app ?? new App()
  const stage = Stage.parse(
    Object.fromEntries(['stage', 'logRetentionDays', 'corsOrigins'].map((key) => [key, app.node.tryGetContext(key)])),
  )
  const bundles = options.bundles ?? join(import.meta.dirname, '..', 'dist')
  if (!existsSync(bundles)) throw new Error(`${bundles} is missing; run "npm run build" first`)
  const id = (part: string): string => `AiDeploy-${stage.name}-${part}`
  const data = new DataStack(app, id('data'), { stage, description: 'AI Deploy: records and artifacts' })
  // An asset belongs to one stack; the folder is hashed and uploaded once all the same.
  const parts = () => ({ stage, data, code: Code.fromAsset(bundles) })
  const stacks = {
    data,
    api: new ApiStack(app, id('api'), { ...parts(), description: 'AI Deploy: HTTPS API' }),
    pipelines: new PipelinesStack(app, id('pipelines'), { ...parts(), description: 'AI Deploy: pipelines' }),
    schedules: new SchedulesStack(app, id('schedules'), { ...parts(), description: 'AI Deploy: schedules' }),
  }
  for (const [name, stack] of Object.entries(stacks)) acknowledge(stack, acknowledgements(stage)[name as Part])
  Tags.of(app).add('aideploy:stage', stage.name)
  if (options.checks ?? true) Validations.of(app).addPlugins(new AwsSolutionsChecks(app))
  return { app, ...stacks }
}

type Part = keyof ReturnType<typeof acknowledgements>

const acknowledge = (stack: Stack, findings: ReturnType<typeof acknowledgements>[Part]): void => {
  for (const finding of findings) Validations.of(stack).acknowledge({ ...finding })
}
