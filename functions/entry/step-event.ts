import { asPlatformError } from '../../layers/core/contract/errors.ts'
import { isFinal, isPending, type PipelineId } from '../../layers/core/contract/pipelines.ts'
import type { JsonObject } from '../../layers/core/domain/json.ts'

/** What the state machine passes: the state, the element inside `each`, and for `lastly` what went wrong, if anything did. */
export interface StepEvent {
  pipeline: PipelineId
  execution_id: string
  state: JsonObject
  item?: JsonObject
  lastly?: boolean
  failure?: { Error: string; Cause: string }
}

/** The state as the in-process runner would give it to the step. */
export const seenByStep = ({ state, item, lastly, execution_id, failure }: StepEvent): JsonObject => {
  if (item !== undefined) return { ...state, item }
  return lastly ? { ...state, execution_id, ...(failure && { failure: faultOf(failure) }) } : state
}

/** `Final` is what the machine does not retry, `Pending` what it asks again without end; the message carries code and detail to `lastly` and to whoever asks. */
export const shownToMachine = (thrown: unknown): Error => {
  const { code, message } = asPlatformError(thrown)
  const shown = new Error(JSON.stringify({ code, detail: message }), { cause: thrown })
  shown.name = isPending(thrown) ? 'Pending' : isFinal(thrown) ? 'Final' : 'Transient'
  return shown
}

/** Step Functions gives a Lambda's error as text: `{"errorMessage": …}`, whose message `shownToMachine` wrote. */
const faultOf = ({ Error: name, Cause: cause }: { Error: string; Cause: string }): JsonObject => {
  const message = parsed(cause)?.errorMessage ?? cause
  const fault = typeof message === 'string' ? parsed(message) : undefined
  return typeof fault?.code === 'string'
    ? { code: fault.code, detail: String(fault.detail) }
    : { code: 'internal', detail: `${name}: ${cause}` }
}

const parsed = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
