import { readFault } from '../../layers/core/contract/pipeline-fault.ts'
import type { PipelineId } from '../../layers/core/contract/pipelines.ts'
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
  return lastly ? { ...state, execution_id, ...(failure && { failure: { ...readFault(failure) } }) } : state
}
