import { StateMachine } from 'aws-local-stepfunctions'
import type { JsonObject } from '../../layers/core/domain/json.ts'
import { ServiceError } from './aws-json-server.ts'

export type Invoke = (function_name: string, payload: unknown) => Promise<unknown>

/** One execution and all that happened in it. */
export interface Execution {
  arn: string
  machine_arn: string
  name: string
  input: string
  status: 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'ABORTED'
  started_s: number
  stopped_s?: number
  output?: string
  error?: string
  cause?: string
  redrives: number
  /** What every attempt of every task came to, in order; a redrive begins from here. */
  outcomes: Outcome[]
  abort(): void
  /** Resolves when it has ended. */
  ended: Promise<void>
}

interface Outcome {
  state: string
  value?: unknown
  failure?: { name: string; message: string }
}

interface Machine {
  definition: unknown
  invoke: Invoke
  retry_interval_ms: number
}

/** What a state may hand on. */
const most_payload_bytes = 262_144
const seconds = (): number => Date.now() / 1000

/** Runs the machine to its end, or to where the earlier attempt failed and on from there: what a task answered then is not asked again. */
export const runMachine = (execution: Execution, machine: Machine): void => {
  const earlier = Map.groupBy(execution.outcomes, ({ state }) => state)
  const tasks = taskStates(machine.definition)
  const handlers = Object.fromEntries(
    [...tasks].map(([state, resource]) => [
      state,
      async (payload: unknown): Promise<unknown> => {
        const known = earlier.get(state)?.shift()
        const outcome = known ?? (await attempt(state, resource, payload, machine.invoke))
        if (!known) execution.outcomes.push(outcome)
        if (outcome.failure) throw Object.assign(new Error(outcome.failure.message), { name: outcome.failure.name })
        return structuredClone(outcome.value)
      },
    ]),
  )
  const input: JsonObject = JSON.parse(execution.input)
  const running = new StateMachine(machine.definition as never, { validationOptions: { noValidate: true } }).run(input, {
    noThrowOnAbort: true,
    overrides: {
      taskResourceLocalHandlers: handlers as never,
      retryIntervalOverrides: Object.fromEntries([...tasks.keys()].map((state) => [state, machine.retry_interval_ms])),
    },
    context: {
      Execution: {
        Id: execution.arn,
        Name: execution.name,
        Input: input,
        StartTime: new Date(execution.started_s * 1000).toISOString(),
        RoleArn: 'arn:aws:iam::123456789012:role/loopback',
      },
    } as never,
  })
  execution.abort = () => {
    end(execution, { status: 'ABORTED' })
    running.abort()
  }
  execution.ended = running.result.then(
    (output: unknown) => end(execution, { status: 'SUCCEEDED', output: JSON.stringify(output) }),
    (failure: Error) => {
      const { name, message } = failure.cause instanceof Error ? failure.cause : failure
      end(execution, { status: 'FAILED', error: name, cause: message })
    },
  )
}

/** Once: an execution that was stopped does not succeed afterwards. */
const end = (execution: Execution, how: Pick<Execution, 'status' | 'output' | 'error' | 'cause'>): void => {
  if (execution.status === 'RUNNING') Object.assign(execution, how, { stopped_s: seconds() })
}

/** A Lambda's error crosses as the service writes it: its type as the error, a JSON text as the cause. What crosses is JSON. */
const attempt = async (state: string, resource: string, payload: unknown, invoke: Invoke): Promise<Outcome> => {
  try {
    const text = JSON.stringify((await invoke(resource.split(':').at(-1) ?? '', JSON.parse(JSON.stringify(payload)))) ?? null)
    if (Buffer.byteLength(text) > most_payload_bytes)
      return {
        state,
        failure: { name: 'States.DataLimitExceeded', message: 'The state returned a result with a size exceeding the maximum' },
      }
    return { state, value: JSON.parse(text) }
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error))
    return { state, failure: { name, message: JSON.stringify({ errorType: name, errorMessage: message, trace: [] }) } }
  }
}

/**
 * Goes on at the unsuccessful state with the answers of the successful ones. A failure that the machine caught led on to other states
 * and is not the unsuccessful one; a machine that ended in its Fail state ends there again.
 */
export const redrive = (execution: Execution, machine: Machine): void => {
  if (execution.status !== 'FAILED' && execution.status !== 'ABORTED')
    throw new ServiceError('ExecutionNotRedrivable', `Execution is ${execution.status} and cannot be redriven`)
  const last = execution.outcomes.at(-1)
  if (last?.failure)
    while (execution.outcomes.at(-1)?.state === last.state && execution.outcomes.at(-1)?.failure) execution.outcomes.pop()
  delete execution.output
  delete execution.error
  delete execution.cause
  delete execution.stopped_s
  execution.status = 'RUNNING'
  execution.redrives += 1
  runMachine(execution, machine)
}

const sound = new WeakSet<object>()

/** Throws what is wrong with a definition; looks once at each, for the validator takes a tenth of a second. */
export const checkMachine = (definition: unknown): void => {
  if (typeof definition !== 'object' || definition === null) throw new Error('A definition is a JSON object')
  if (sound.has(definition)) return
  new StateMachine(definition as never, { validationOptions: { checkArn: false, checkPaths: false } })
  sound.add(definition)
}

/** Every Task state with its function, also those inside Map and Parallel. */
const taskStates = (definition: unknown): Map<string, string> => {
  const found = new Map<string, string>()
  const walk = (value: unknown, name: string): void => {
    if (typeof value !== 'object' || value === null) return
    if (Reflect.get(value, 'Type') === 'Task') found.set(name, String(Reflect.get(value, 'Resource')))
    for (const [key, child] of Object.entries(value)) walk(child, key)
  }
  walk(definition, '')
  return found
}
