import { SFNClient } from '@aws-sdk/client-sfn'
import type { JsonObject } from '../../layers/core/domain/json.ts'
import { type AwsJsonServer, ServiceError, startAwsJsonServer } from './aws-json-server.ts'
import { checkMachine, type Execution, redrive, runMachine } from './step-functions-executions.ts'

export interface StepFunctionsServer extends AwsJsonServer {
  /** By ARN, in the order they were started. */
  executions: Map<string, Execution>
  /** Resolves when no execution runs any more. */
  settled(): Promise<void>
}

const most_input_bytes = 262_144
/** What the service refuses in a name (API reference of StartExecution). */
const bad_name = /[\s<>{}[\]?*"#%\\^|~`$&,;:/]|\p{Cc}/u

/**
 * The control plane of Step Functions on loopback: standard workflows given as definitions by ARN, run by an independent interpreter
 * of the Amazon States Language. Tasks are Lambda functions and go to `invoke` by function name. Waits between attempts are
 * `retry_interval_ms` instead of the definition's. Executions are kept until `stop`.
 */
export const startStepFunctions = async (options: {
  machines: ReadonlyMap<string, unknown>
  /** Is told the ARN of the machine too. */
  invoke: (function_name: string, payload: unknown, machine_arn: string) => Promise<unknown>
  retry_interval_ms?: number
}): Promise<StepFunctionsServer> => {
  const executions = new Map<string, Execution>()
  for (const definition of options.machines.values()) checkMachine(definition)
  const machineOf = (arn: string) => {
    if (!/^arn:aws:states:[a-z0-9-]+:\d{12}:stateMachine:[^:]+$/.test(arn))
      throw new ServiceError('InvalidArn', `Invalid Arn: '${arn}'`)
    const definition = options.machines.get(arn)
    if (definition === undefined) throw new ServiceError('StateMachineDoesNotExist', `State Machine Does Not Exist: '${arn}'`)
    const invoke = (name: string, payload: unknown) => options.invoke(name, payload, arn)
    return { definition, invoke, retry_interval_ms: options.retry_interval_ms ?? 2 }
  }
  const executionOf = (arn: string): Execution => {
    if (!/^arn:aws:states:[a-z0-9-]+:\d{12}:execution:[^:]+:[^:]+$/.test(arn))
      throw new ServiceError('InvalidArn', `Invalid Arn: '${arn}'`)
    const execution = executions.get(arn)
    if (!execution) throw new ServiceError('ExecutionDoesNotExist', `Execution Does Not Exist: '${arn}'`)
    return execution
  }
  const start = ({ stateMachineArn, name, input = '{}' }: JsonObject): object => {
    const machine_arn = String(stateMachineArn)
    const machine = machineOf(machine_arn)
    const chosen = String(name ?? crypto.randomUUID())
    const text = String(input)
    if (chosen.length === 0 || chosen.length > 80 || bad_name.test(chosen))
      throw new ServiceError('InvalidName', `Invalid Name: '${chosen}'`)
    checkInput(text)
    const arn = `${machine_arn.replace(':stateMachine:', ':execution:')}:${chosen}`
    const there = executions.get(arn)
    // While it runs, the same name and input is the same execution; otherwise the name is taken for 90 days.
    if (there && (there.status !== 'RUNNING' || there.input !== text))
      throw new ServiceError('ExecutionAlreadyExists', `Execution Already Exists: '${arn}'`)
    if (there) return { executionArn: arn, startDate: there.started_s }
    const execution: Execution = {
      ...{ arn, machine_arn, name: chosen, input: text, status: 'RUNNING', started_s: Date.now() / 1000 },
      ...{ redrives: 0, outcomes: [], abort: () => {}, ended: Promise.resolve() },
    }
    executions.set(arn, execution)
    runMachine(execution, machine)
    return { executionArn: arn, startDate: execution.started_s }
  }
  const server = await startAwsJsonServer({
    StartExecution: start,
    DescribeExecution: ({ executionArn }) => described(executionOf(String(executionArn))),
    StopExecution: ({ executionArn, error, cause }) => {
      const execution = executionOf(String(executionArn))
      execution.abort()
      Object.assign(execution, { ...(error && { error }), ...(cause && { cause }) })
      return { stopDate: execution.stopped_s ?? Date.now() / 1000 }
    },
    ListExecutions: ({ stateMachineArn, statusFilter, maxResults = 100, nextToken = '0' }) => {
      machineOf(String(stateMachineArn))
      const found = [...executions.values()]
        .filter(
          ({ machine_arn, status }) => machine_arn === stateMachineArn && (statusFilter === undefined || status === statusFilter),
        )
        .toReversed()
      const from = Number(nextToken)
      const to = from + Number(maxResults || 100)
      return { executions: found.slice(from, to).map(listed), ...(to < found.length && { nextToken: String(to) }) }
    },
    GetExecutionHistory: ({ executionArn }) => ({ events: history(executionOf(String(executionArn))) }),
    RedriveExecution: ({ executionArn }) => {
      const execution = executionOf(String(executionArn))
      redrive(execution, machineOf(execution.machine_arn))
      return { redriveDate: Date.now() / 1000 }
    },
  })
  const settled = async (): Promise<void> => {
    await Promise.all([...executions.values()].map(({ ended }) => ended))
  }
  return {
    ...server,
    executions,
    settled,
    stop: async () => {
      for (const execution of executions.values()) if (execution.status === 'RUNNING') execution.abort()
      await server.stop()
    },
  }
}

const checkInput = (text: string): void => {
  if (Buffer.byteLength(text) > most_input_bytes)
    throw new ServiceError(
      'ValidationException',
      `1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have length less than or equal to ${most_input_bytes}`,
    )
  try {
    JSON.parse(text)
  } catch {
    throw new ServiceError('InvalidExecutionInput', 'Invalid State Machine Execution Input: not JSON')
  }
}

const listed = ({ arn, machine_arn, name, status, started_s, stopped_s, redrives }: Execution): object => ({
  ...{ executionArn: arn, stateMachineArn: machine_arn, name, status, startDate: started_s, redriveCount: redrives },
  ...(stopped_s !== undefined && { stopDate: stopped_s }),
})

const described = (execution: Execution): object => ({
  ...listed(execution),
  ...{ input: execution.input, inputDetails: { included: true } },
  ...(execution.output !== undefined && { output: execution.output, outputDetails: { included: true } }),
  ...(execution.error !== undefined && { error: execution.error }),
  ...(execution.cause !== undefined && { cause: execution.cause }),
})

/** The start, every attempt of a task, and the end. */
const history = (execution: Execution): object[] => {
  const types = ['ExecutionStarted']
  for (const { failure } of execution.outcomes)
    types.push('LambdaFunctionScheduled', failure ? 'LambdaFunctionFailed' : 'LambdaFunctionSucceeded')
  const ends = { SUCCEEDED: 'ExecutionSucceeded', FAILED: 'ExecutionFailed', ABORTED: 'ExecutionAborted' } as const
  if (execution.status !== 'RUNNING') types.push(ends[execution.status])
  return types.map((type, at) => ({ id: at + 1, previousEventId: at, type, timestamp: execution.started_s }))
}

export const sfnClient = (endpoint: string, limits: { requestTimeout?: number; maxAttempts?: number } = {}): SFNClient =>
  new SFNClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: limits.maxAttempts ?? 3,
    requestHandler: { requestTimeout: limits.requestTimeout ?? 5_000, throwOnRequestTimeout: true },
  })
