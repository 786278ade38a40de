import { type StepEvent, seenByStep } from '../../functions/entry/step-event.ts'
import { writeFault } from '../../layers/core/contract/pipeline-fault.ts'
import type { Step, Workflows } from '../../layers/core/ports/workflows.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { stepFunctionsWorkflows } from '../../layers/workflows/step-functions.ts'
import { machineArn, platformMachines } from './machines.ts'
import { type StepFunctionsServer, sfnClient, startStepFunctions } from './step-functions-server.ts'

export interface StepFunctionsHost {
  workflows: Workflows
  server: StepFunctionsServer
  close(): Promise<void>
}

/** The adapter before a loopback Step Functions whose machines run `steps` as their Lambda functions would. */
export const stepFunctionsHost = async (
  steps: ReadonlyMap<string, Step>,
  limits: { requestTimeout?: number; maxAttempts?: number } = {},
): Promise<StepFunctionsHost> => {
  const now = () => new Date()
  const records = sqliteRecords({ path: ':memory:', now })
  const invoke = async (function_name: string, payload: unknown): Promise<unknown> => {
    const event = payload as StepEvent
    const step = steps.get(function_name.replace('aideploy-dev-step-', ''))
    if (!step) throw new Error(`${function_name} is no step of this test`)
    const context = {
      execution_id: event.execution_id,
      cancelled: async () => (await workflows.status(event.pipeline, event.execution_id))?.cancel_requested ?? false,
      signal: new AbortController().signal,
    }
    const answer = await step(seenByStep(event), context).catch((error: unknown) => {
      throw writeFault(error)
    })
    return { ...(event.item ?? event.state), ...answer }
  }
  const server = await startStepFunctions({ machines: platformMachines(), invoke })
  const client = sfnClient(server.endpoint, limits)
  const workflows = stepFunctionsWorkflows({
    client: () => client,
    machine_arn: (pipeline) => machineArn(`aideploy-dev-${pipeline}`),
    records,
    now,
  })
  const close = async () => {
    await server.stop()
    client.destroy()
    records.close()
  }
  return { workflows, server, close }
}
