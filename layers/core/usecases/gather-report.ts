import type { CostAnalysis } from '../domain/analytics.ts'
import type { Span } from '../domain/cost-analysis.ts'
import { memberCost } from '../domain/member-cost.ts'
import type { Principal } from '../domain/principal.ts'
import { type Report, reportOf } from '../domain/report.ts'
import { periodBeforeThat, type ReportPeriod } from '../domain/report-calendar.ts'
import { dayLines, windowOf } from '../domain/report-days.ts'
import { HibernationRecord, type SavingsLedger, type Sleeper, savingsLedger } from '../domain/report-savings.ts'
import type { App } from '../ports/app.ts'
import { analyseCost } from './analyse-cost.ts'
import { readAnyDeployment } from './deployment-records.ts'
import { forecastUsage } from './forecast-usage.ts'
import { findOrganization } from './organization-records.ts'
import { readCostedFleet } from './read-costed-fleet.ts'
import { readUsage } from './read-usage.ts'
import { organizationPartition } from './record-keys.ts'
import { readDeletionsAhead } from './storage-records.ts'
import { suggestChanges } from './suggest-changes.ts'
import { readAll } from './usage-keys.ts'

export type ReportApp = Pick<App, 'records' | 'meter' | 'now' | 'prices' | 'config'>

const forecast_days = 30

/**
 * A report of an organisation over whole local days. Every figure is the analyses' own: the same questions their routes answer, asked
 * for the period, the days before it and the days to come. Fails with `invalid_request` for a period that cannot be analysed.
 */
export const gatherReport = async (
  app: ReportApp,
  principal: Pick<Principal, 'organization_id'>,
  period: ReportPeriod,
  schedule?: { id: string; name: string },
): Promise<Report> => {
  const asker: Principal = { kind: 'user', id: 'cost-report', name: 'cost report', role: 'viewer', ...principal }
  const window = windowOf(period)
  const current = await analyseCost(app, asker, queryOf(window))
  const previous = await analyseCost(app, asker, queryOf(windowOf(periodBeforeThat(period))))
  const fleet = await readCostedFleet(app, asker, queryOf(window), 'hour')
  const costs = fleet.members.map((member) => memberCost(member, { ...fleet, prices: app.prices }))
  const known = costs.filter(({ member }) => member.deployment_id in current.cost_by_deployment)
  const names = new Map(
    fleet.members.map(({ deployment_id, name, deployment_type }) => [deployment_id, { name, deployment_type }]),
  )
  await nameThoseBefore(app, asker, previous, names)
  return reportOf({
    organization: (await findOrganization(app, principal.organization_id))?.body.name ?? principal.organization_id,
    period,
    now: app.now(),
    current,
    previous,
    forecast: await forecastUsage(app, asker, { days: forecast_days }),
    suggestions: await suggestChanges(app, asker),
    lines: dayLines(known, period),
    deployments: names,
    savings: await readSavings(app, principal.organization_id, window),
    deletions: await readDeletionsAhead(app, principal.organization_id),
    ...(schedule && { schedule }),
    public_url: app.config.public_url,
  })
}

const queryOf = ({ from_ms, to_ms }: Span) => ({
  start_time: new Date(from_ms).toISOString(),
  end_time: new Date(to_ms).toISOString(),
})

/** Deployments of the days before that are gone now are still called by their name while it is on record. */
const nameThoseBefore = async (
  app: ReportApp,
  { organization_id }: Principal,
  previous: CostAnalysis,
  names: Map<string, { name: string; deployment_type: string }>,
): Promise<void> => {
  for (const id of Object.keys(previous.cost_by_deployment)) {
    if (names.has(id)) continue
    const deployment = await readAnyDeployment(app, { organization_id, id })
    if (deployment) names.set(id, deployment)
  }
}

const readSavings = async (app: ReportApp, organization_id: string, window: Span): Promise<SavingsLedger> => {
  const pk = organizationPartition(organization_id)
  const records = await readAll(app.records, { pk, from: 'hibernation#', to: 'hibernation#~' }, HibernationRecord)
  const now = app.now()
  const sleepers: Sleeper[] = []
  for (const [id, own] of Map.groupBy(records, (record) => record.deployment_id)) {
    const from_ms = Math.min(...own.map(({ decided_at }) => Date.parse(decided_at)))
    sleepers.push({
      deployment: await readAnyDeployment(app, { organization_id, id }),
      records: own,
      rows: await readUsage(app.records, id, { from_ms, to_ms: now.getTime() }, 'hour', now.getTime()),
    })
  }
  return savingsLedger(sleepers, window, now)
}
