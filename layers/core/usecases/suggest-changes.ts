import { adviseOn } from '../domain/advice.ts'
import type { Suggestions } from '../domain/analytics.ts'
import { memberCost } from '../domain/member-cost.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { readCostedFleet } from './read-costed-fleet.ts'

/** What to change about each deployment, with what it saves, from the usage of the last 30 days; deployments that are fine are not listed. */
export const suggestChanges = async (
  app: Pick<App, 'records' | 'meter' | 'now' | 'prices'>,
  principal: Principal,
): Promise<Suggestions> => {
  const { now, window, members, storage } = await readCostedFleet(app, principal, {}, 'hour')
  const advised = members.map((member) => {
    const cost = memberCost(member, { window, storage, prices: app.prices })
    return [member.deployment_id, { deployment_name: member.name, suggestions: adviseOn(cost, window, app.prices) }] as const
  })
  return {
    timestamp: now.toISOString(),
    suggestions_by_deployment: Object.fromEntries(advised.filter(([, { suggestions }]) => suggestions.length > 0)),
  }
}
