import { newId } from '../../layers/compose/ids.ts'
import type { Deployment } from '../../layers/core/domain/deployment.ts'
import type { MailMessage } from '../../layers/core/ports/mail.ts'
import { analyticsApp, deploymentOf, modelOf, store } from './fleet.ts'
import { sampleAt, seededRandom } from './usage.ts'

/** What reports need of an app, over real records; mail is collected, by key once, as the outbox keeps it. */
export const reportApp = (at?: string) => {
  const app = analyticsApp(at)
  const mails: MailMessage[] = []
  return {
    ...app,
    mails,
    mail: {
      send: async (message: MailMessage) => {
        const is_repeat = message.key !== undefined && mails.some(({ key }) => key === message.key)
        if (!is_repeat) mails.push(message)
        return { message_id: `<${message.key}@example.com>` }
      },
    },
    config: {
      version: 'test',
      public_url: 'https://deploy.example.com',
      max_upload_bytes: 1,
      wake_wait_ms: 1,
      scratch_dir: '/tmp',
    },
    newId: (prefix: string) => newId(prefix, app.now().getTime()),
  }
}
export type ReportWorld = ReturnType<typeof reportApp>

export const organization = async (app: ReportWorld, id = 'org_1', name = 'Acme Robotics'): Promise<void> => {
  const body = { id, name, operator: false, admins: 1, created_at: '2026-10-01T00:00:00.000Z' }
  await app.records.write([
    {
      put: { pk: `org#${id}`, sk: `organization#${id}`, body, lookup: { pk: 'organizations', sk: `organization#${id}` } },
      expect: 'any',
    },
  ])
}

/** A deployment with so many requests in every hour between two days, each hour differently busy, rolled up. */
export const traffic = async (
  app: ReportWorld,
  deployment: Deployment,
  { from, to, per_hour, compute_ms = 20 }: { from: string; to: string; per_hour: number; compute_ms?: number },
): Promise<void> => {
  await store(app.records, 'deployment', deployment)
  const random = seededRandom(deployment.id.length * 7919 + per_hour)
  for (let at_ms = Date.parse(from); at_ms < Date.parse(to); at_ms += 3_600_000) {
    const requests = Math.round(per_hour * random() * (new Date(at_ms).getUTCHours() > 6 ? 1 : 0.1))
    for (let n = 0; n < requests; n += 1)
      app.meter.record(
        sampleAt(at_ms + Math.floor((n / requests) * 3_599_000), {
          organization_id: deployment.organization_id,
          deployment_id: deployment.id,
          deployment_type: deployment.deployment_type,
          compute_us: compute_ms * 1000,
          latency_us: compute_ms * 1200,
          bytes_out: 40_000,
        }),
      )
  }
  await app.meter.flush()
  await app.rollUp()
}

/** Three deployments, two busy weeks, one of them unpriced, sleeps in the ledger, a model to be deleted. */
export const busyFortnight = async (app: ReportWorld): Promise<void> => {
  await organization(app)
  await store(
    app.records,
    'model',
    modelOf('mod_1'),
    modelOf('mod_2', {
      name: 'old-churn-model',
      storage: {
        form: 'compressed',
        since: '2026-10-01T00:00:00.000Z',
        last_used_at: '2026-09-01T00:00:00.000Z',
        files: [],
        busy: null,
        deletion_announced_at: '2026-11-18T00:00:00.000Z',
        deletes_at: '2026-11-25T00:00:00.000Z',
      },
    }),
  )
  const days = { from: '2026-11-11T00:00:00Z', to: '2026-11-20T00:00:00Z' }
  await traffic(app, deploymentOf('dep_1', { name: 'fraud-scoring' }), { ...days, per_hour: 15, compute_ms: 3600 })
  await traffic(
    app,
    deploymentOf('dep_2', { name: 'recommendations', status: 'hibernated', status_since: '2026-11-15T00:00:00.000Z' }),
    {
      ...days,
      to: '2026-11-15T00:00:00Z',
      per_hour: 6,
      compute_ms: 9000,
    },
  )
  await traffic(
    app,
    deploymentOf('dep_3', { name: 'a deployment with quite a long name that goes on and on', deployment_type: 'custom' }),
    {
      ...days,
      per_hour: 3,
    },
  )
  for (const [at, hours] of [
    ['2026-11-10T02:00:00.000Z', 0.027],
    ['2026-11-15T00:30:00.000Z', 0.027],
  ] as const)
    await app.records.write([
      {
        put: {
          pk: 'org#org_1',
          sk: `hibernation#dep_2#${at}`,
          body: {
            deployment_id: 'dep_2',
            organization_id: 'org_1',
            decided_at: at,
            action: 'hibernate',
            reason: 'no request for 1800.0 s',
            idle_s: 1800,
            saves_usd_per_hour: hours,
            basis: 'keeping its memory warm on AWS Lambda arm64 provisioned concurrency, price list 2026-11-20',
          },
        },
        expect: 'any',
      },
    ])
}
