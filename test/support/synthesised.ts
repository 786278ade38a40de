import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { App, type Stack } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { type Platform, platform } from '../../lib/platform.ts'
import { emptyBundles } from './bundles.ts'

/** The feature flags that the command line would set. */
const { context: flags }: { context: Record<string, unknown> } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../cdk.json'), 'utf8'),
)

/** The platform's stacks without CDK's own template validation, which costs seconds and runs in `.ci/run`. */
export const synthesised = (context: Record<string, string> = {}): Platform =>
  platform({
    app: new App({
      context: { ...flags, ...context },
      outdir: join(emptyBundles(), 'cdk.out'),
      analyticsReporting: false,
      builtinCloudFormationValidation: false,
    }),
    bundles: emptyBundles(),
    checks: false,
  })

export const templateOf = (stack: Stack): Template => Template.fromStack(stack)

/** Resources of one type as `[logical id, properties]`. */
export const resources = (template: Template, type: string): [string, Record<string, unknown>][] =>
  Object.entries(template.findResources(type)).map(([id, resource]) => [id, resource.Properties ?? {}])
