import * as z from 'zod'
import type { JsonObject } from '../domain/json.ts'
import type { App } from '../ports/app.ts'
import { changeDeployment, inState } from './change-deployment.ts'
import { ProvisionInput } from './provision-input.ts'
import { releasePending } from './revisions.ts'

/**
 * A revision that did not come up leaves the deployment where it was, with the reason; one that was never up
 * is `failed`. Does nothing when the transition was settled before or is somebody else's.
 */
export const settleFailedRevision = async (
  app: Pick<App, 'records' | 'now'>,
  input: ProvisionInput,
  reason: string,
): Promise<void> => {
  const name = { organization_id: input.organization_id, id: input.deployment_id }
  await changeDeployment(app, name, async (current) => {
    if (current.transition?.id !== input.transition_id) return undefined
    const { from } = current.transition
    const status = from === undefined || from === 'creating' ? 'failed' : from
    const status_reason = `revision ${input.revision} could not be brought up: ${reason}`
    const operations = await releasePending(app, current, input.revision)
    return { next: inState(app, current, { status, status_reason, transition: null }), operations }
  })
}

const LastInput = ProvisionInput.extend({ failure: z.object({ code: z.string(), detail: z.string() }).optional() })

/** The pipeline's last step, whatever happened before: an unsettled transition is settled as failed, with the pipeline's reason. */
export const settleDeployment = async (app: Pick<App, 'records' | 'now'>, state: JsonObject): Promise<{ outcome: string }> => {
  const { failure, ...input } = LastInput.parse(state)
  await settleFailedRevision(app, input, failure?.detail ?? 'its provisioning ended without an answer')
  return { outcome: failure === undefined ? 'settled' : 'failed' }
}
