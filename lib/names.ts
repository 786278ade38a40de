import type { Stage } from './stage.ts'

/** Names that stacks must agree on without importing each other's tokens, so that no stack waits for another's export. */
export const names = (stage: Pick<Stage, 'name'>) => ({
  table: `aideploy-${stage.name}-records`,
  functionName: (unit: string) => `aideploy-${stage.name}-${unit}`,
  machine: (pipeline: string) => `aideploy-${stage.name}-${pipeline}`,
  scheduleGroup: `aideploy-${stage.name}`,
  eventBus: `aideploy-${stage.name}`,
  secretsPrefix: `aideploy/${stage.name}`,
  /** Path of every role and policy a deployment gets; whoever makes roles may make them nowhere else. */
  rolePath: '/aideploy/',
  boundary: `${stage.name}-boundary`,
  processingRole: `aideploy-${stage.name}-processing`,
  /** Processing and training jobs get names of their own below these. */
  processingJobs: `aideploy-${stage.name}-p-`,
  trainingJobs: `aideploy-${stage.name}-t-`,
  /** Log groups of the platform's functions stand directly below, those of deployments below `m/`. */
  logGroup: (unit: string) => `/aideploy/${stage.name}/${unit}`,
  parameter: (name: string) => `/aideploy/${stage.name}/${name}`,
})
