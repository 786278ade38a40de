import { App } from 'aws-cdk-lib'
import { platform } from './platform.ts'

/** A resource of a synthesised template. */
export interface Resource {
  stack: string
  /** Logical id. */
  id: string
  type: string
  properties: Record<string, unknown>
}

/** Resources of every template of a stage, given as CDK context. What the bundles hold does not matter; `outdir` lies outside them. */
export const resourcesOf = (context: Record<string, string>, bundles: string, outdir: string): Resource[] => {
  const app = new App({ context, outdir, analyticsReporting: false, builtinCloudFormationValidation: false })
  platform({ app, bundles, checks: false })
  return app.synth().stacks.flatMap(({ stackName, template }) =>
    Object.entries<{ Type: string; Properties?: Record<string, unknown> }>(template.Resources ?? {}).map(([id, resource]) => ({
      stack: stackName,
      id,
      type: resource.Type,
      properties: resource.Properties ?? {},
    })),
  )
}
