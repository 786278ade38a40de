import type { Stage } from './stage.ts'

/** Names that stacks must agree on without importing each other's tokens, so that no stack waits for another's export. */
export const names = (stage: Stage) => ({
  table: `aideploy-${stage.name}-records`,
  functionName: (unit: string) => `aideploy-${stage.name}-${unit}`,
  machine: (pipeline: string) => `aideploy-${stage.name}-${pipeline}`,
  scheduleGroup: `aideploy-${stage.name}`,
})
