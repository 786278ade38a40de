import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { App } from 'aws-cdk-lib'
import { Template as CdkTemplate } from 'aws-cdk-lib/assertions'
import { platform } from '../../lib/platform.ts'
import type { resourcesOf, Template } from './intrinsics.ts'
import { arn } from './physical.ts'

/** The feature flags that the command line would set. */
const { context: flags }: { context: Record<string, unknown> } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../cdk.json'), 'utf8'),
)

export type Resources = (type: string) => ReturnType<typeof resourcesOf>

/** The stacks' templates by stack name, of the bundles in a folder and the parameters of a stage. */
export const synthesise = (bundles: string, context: Record<string, string> = {}): Map<string, Template> => {
  const app = new App({
    context: { ...flags, ...context },
    outdir: join(bundles, '..', 'cdk.out'),
    analyticsReporting: false,
    builtinCloudFormationValidation: false,
  })
  const { stacks } = platform({ app, bundles, checks: false })
  return new Map(stacks.map((stack) => [stack.stackName, CdkTemplate.fromStack(stack).toJSON() as Template]))
}

export const machineArn = (properties: Record<string, unknown>): string =>
  arn('states', `stateMachine:${String(properties.StateMachineName)}`)

/** From a name or an ARN. */
export const functionName = (text: string): string => text.split(':function:').at(-1) ?? text

export const strings = (values: object): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]))

/** Where the code of deployments' functions lies, by what functions that drive them are told. */
export const codeOf = (properties: Record<string, unknown>): string[] => {
  const { AIDEPLOY_RUNTIME_BUCKET: bucket, AIDEPLOY_RUNTIME_KEY: key } = Object(Object(properties.Environment).Variables)
  return key === undefined ? [] : [`${bucket}/${key}`]
}

/** Bucket of the artifacts, as every function is told it. */
export const bucketOf = (ofType: Resources): string => {
  const [first] = ofType('AWS::Lambda::Function')
  return String(Object(Object(first?.properties.Environment).Variables).AIDEPLOY_BUCKET)
}
