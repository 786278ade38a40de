import {
  DescribeExecutionCommand,
  type DescribeExecutionCommandOutput,
  type SFNClient,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn'
import { awsCode, awsFailure } from '../aws/failure.ts'
import { readFault } from '../core/contract/pipeline-fault.ts'
import type { PipelineId } from '../core/contract/pipelines.ts'
import { JsonObject } from '../core/domain/json.ts'
import type { Key, Records } from '../core/ports/records.ts'
import type { ExecutionStatus, Workflows } from '../core/ports/workflows.ts'
import { checkedStart } from './checked-start.ts'

export interface StepFunctionsParts {
  /** Made at the first call. */
  client(): SFNClient
  machine_arn(pipeline: PipelineId): string
  records: Records
  now(): Date
}

/** An execution ends after at most a year; a flag that nobody can read any more need not be kept longer than its history, 90 days. */
const flag_kept_s = 90 * 86_400

/**
 * Pipelines as Step Functions executions, named by their execution id. Step Functions knows one execution per name, so a start whose
 * answer was lost is repeated harmlessly. It cannot stop an execution so that `lastly` still runs: to cancel is a flag in records
 * that steps read.
 */
export const stepFunctionsWorkflows = ({ client, machine_arn, records, now }: StepFunctionsParts): Workflows => {
  let made: SFNClient | undefined
  const sfn = (): SFNClient => (made ??= client())
  const describe = (pipeline: PipelineId, execution_id: string): Promise<DescribeExecutionCommandOutput | undefined> =>
    sfn()
      .send(new DescribeExecutionCommand({ executionArn: executionArn(machine_arn(pipeline), execution_id) }))
      .catch((error: unknown) => {
        if (['ExecutionDoesNotExist', 'InvalidArn'].includes(awsCode(error))) return undefined
        throw awsFailure(error, `Asking for execution ${execution_id} of ${pipeline}`)
      })
  return {
    start: async (pipeline, execution_id, input) => {
      const text = checkedStart(pipeline, execution_id, input)
      const command = new StartExecutionCommand({ stateMachineArn: machine_arn(pipeline), name: execution_id, input: text })
      await sfn()
        .send(command)
        .catch((error: unknown) => {
          // An earlier call started it: the same id is the same execution, whatever input came with the repeat.
          if (awsCode(error) === 'ExecutionAlreadyExists') return
          throw awsFailure(error, `Starting ${pipeline} ${execution_id}`)
        })
    },
    status: async (pipeline, execution_id) => {
      const [found, flag] = await Promise.all([describe(pipeline, execution_id), records.get(flagKey(pipeline, execution_id))])
      return found && { ...statusOf(found), ...(flag && { cancel_requested: true as const }) }
    },
    cancel: async (pipeline, execution_id) => {
      // What was started a moment ago may not be visible yet, so only a known end makes the flag pointless.
      const found = await describe(pipeline, execution_id)
      if (found && statusOf(found).state !== 'running') return
      const expires_at = Math.floor(now().getTime() / 1000) + flag_kept_s
      await records.write([
        {
          put: { ...flagKey(pipeline, execution_id), body: { requested_at: now().toISOString() }, expires_at },
          expect: 'any',
        },
      ])
    },
  }
}

const flagKey = (pipeline: PipelineId, execution_id: string): Key => ({
  pk: `execution#${pipeline}#${execution_id}`,
  sk: 'cancel',
})

/** `arn:aws:states:<region>:<account>:stateMachine:<name>` → `…:execution:<name>:<execution id>`. */
const executionArn = (machine: string, execution_id: string): string =>
  `${machine.replace(':stateMachine:', ':execution:')}:${execution_id}`

const statusOf = ({ status, output, error, cause }: DescribeExecutionCommandOutput): ExecutionStatus => {
  if (status === 'RUNNING' || status === 'PENDING_REDRIVE') return { state: 'running' }
  if (status === 'SUCCEEDED')
    return { state: 'succeeded', ...(output !== undefined && { output: JsonObject.parse(JSON.parse(output)) }) }
  if (status === 'ABORTED') return { state: 'failed', error: { code: 'cancelled', detail: cause ?? 'The execution was stopped' } }
  const fault = readFault({ ...(error !== undefined && { Error: error }), ...(cause !== undefined && { Cause: cause }) })
  return { state: 'failed', error: status === 'TIMED_OUT' ? { ...fault, code: 'timeout' } : fault }
}
