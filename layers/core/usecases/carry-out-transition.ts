import * as z from 'zod'
import type { JsonObject } from '../domain/json.ts'
import { changeDeployment } from './change-deployment.ts'
import { carryOut, type DriveApp } from './drive-deployment.ts'

const DriveInput = z.object({ organization_id: z.string(), deployment_id: z.string(), transition_id: z.string() })

/** What the deployer's verb may take: an endpoint that is made anew takes minutes. The step itself has 900 s. */
const DRIVE_LIMIT_S = 840

/**
 * The step of the pipeline `drive-transition`. Primary course: the transition is still the one the pipeline was started for, gets the
 * time its verb may need, and is carried out. Runs again harmlessly; answers `superseded` when somebody else took it over.
 */
export const carryOutTransition = async (app: DriveApp, state: JsonObject): Promise<{ outcome: string }> => {
  const { organization_id, deployment_id, transition_id } = DriveInput.parse(state)
  const { deployment } = await changeDeployment(app, { organization_id, id: deployment_id }, (current) => {
    if (current.transition?.id !== transition_id) return undefined
    const until = new Date(app.now().getTime() + DRIVE_LIMIT_S * 1000).toISOString()
    return { next: { ...current, transition: { ...current.transition, until } } }
  })
  if (deployment.transition?.id !== transition_id) return { outcome: 'superseded' }
  const settled = await carryOut(app, deployment)
  return { outcome: settled.status }
}
