import { Deployment } from '../domain/deployment.ts'
import { type FleetMember, lifetimeOf } from '../domain/fleet.ts'
import type { StandingRow } from '../domain/standing-row.ts'
import { sumUsage, type UsageRow } from '../domain/usage.ts'
import type { App } from '../ports/app.ts'
import { readUsage, snapWindow, type TimeWindow } from './read-usage.ts'
import { organizationPartition } from './record-keys.ts'
import { readStandingRows } from './standing-rows.ts'
import { readAll, UsedDeployment } from './usage-keys.ts'

type Parts = Pick<App, 'records' | 'meter' | 'now'>

/**
 * Every deployment that existed in a window, or has usage in it, with that usage by the hour or day; requests of this moment
 * included. Deleted deployments whose record is gone are known by their usage alone.
 */
export const readFleet = async (
  app: Parts,
  organization_id: string,
  window: TimeWindow,
  grain: 'hour' | 'day',
): Promise<FleetMember[]> => {
  await app.meter.flush()
  const now_ms = app.now().getTime()
  const pk = organizationPartition(organization_id)
  const deployments = await readAll(app.records, { pk, from: 'deployment#', to: 'deployment#~' }, Deployment)
  const used = await readAll(app.records, { pk, from: 'used-deployment#', to: 'used-deployment#~' }, UsedDeployment)
  const known = new Set(deployments.map((deployment) => deployment.id))
  const gone = used.filter(({ deployment_id }) => !known.has(deployment_id))

  const fleet: FleetMember[] = []
  const add = (base: Base, rows: UsageRow[], standing: StandingRow[]) => {
    const lifetime = lifetimeOf(base.deployment, rows, now_ms)
    const existed = lifetime.from_ms < window.to_ms && lifetime.to_ms > window.from_ms
    if (rows.length + standing.length > 0 || (base.deployment && existed))
      fleet.push({ ...base, rows, standing, lifetime, totals: sumUsage(rows) })
  }
  const { from_ms, to_ms } = snapWindow(window, now_ms)
  const partsOf = (id: string) =>
    Promise.all([readUsage(app.records, id, window, grain, now_ms), readStandingRows(app.records, id, from_ms, to_ms)])
  for (const deployment of deployments) {
    const { id, deployment_type, name } = deployment
    add({ deployment_id: id, deployment_type, name, deployment }, ...(await partsOf(id)))
  }
  for (const { deployment_id, deployment_type } of gone)
    add({ deployment_id, deployment_type, name: deployment_id, deployment: undefined }, ...(await partsOf(deployment_id)))
  return fleet
}

type Base = Pick<FleetMember, 'deployment_id' | 'deployment_type' | 'name' | 'deployment'>
