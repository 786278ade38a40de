import middy from '@middy/core'
import { app } from '#app'
import { writeFault } from '../../layers/core/contract/pipeline-fault.ts'
import type { JsonObject } from '../../layers/core/domain/json.ts'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { type StepEvent, seenByStep } from './step-event.ts'

/** A pipeline step as a Lambda. It answers the merged state (or element), so that the machine needs no merging of its own. */
export const stepHandler = (run: Step) =>
  middy(async (event: StepEvent): Promise<JsonObject> => {
    const context = {
      execution_id: event.execution_id,
      cancelled: async () => (await app.workflows.status(event.pipeline, event.execution_id))?.cancel_requested ?? false,
      signal: new AbortController().signal,
    }
    const answer = await run(seenByStep(event), context).catch((error: unknown) => {
      throw writeFault(error)
    })
    return { ...(event.item ?? event.state), ...answer }
  })
