import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UploadReply } from '../../layers/core/contract/routes/models.ts'
import { ReportReply } from '../../layers/core/contract/routes/reports.ts'
import { DeploymentReply } from '../../layers/core/domain/deployment.ts'
import { ReportSchedule, ReportScheduleReply } from '../../layers/core/domain/report-schedule.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { readCsv } from '../support/csv.ts'
import { readMime } from '../support/mime.ts'
import { denseModel } from '../support/models.ts'
import { eventually, type Platform, startPlatform } from '../support/platform.ts'

let platform: Platform
let deployment: DeploymentReply

beforeAll(async () => {
  platform = await startPlatform()
  const { model_id } = UploadReply.parse((await platform.upload('digits.onnx', denseModel([8, 16, 4]))).body)
  const resource_requirements = { cpu: '1', memory: '512Mi', gpu: null, timeout: 30 }
  const wanted = { name: '=digits', model_id, deployment_type: 'serverless', resource_requirements }
  const { id } = DeploymentReply.parse((await platform.call('POST', '/deployments', wanted)).body)
  const read = async () => DeploymentReply.parse((await platform.call('GET', `/deployments/${id}`)).body)
  deployment = await eventually(read, ({ status }) => status === 'active' || status === 'failed', 45_000)
  expect(deployment.status).toBe('active')
  for (let n = 0; n < 5; n += 1) await platform.call('POST', `/deployments/${id}/inference`, { inputs: [Array(8).fill(n)] })
})
afterAll(async () => {
  await platform?.stop()
  await platform?.remove()
})

const daily = { name: 'each day', frequency: 'daily', hour: 0, recipients: ['ada@example.com'] }
const schedules = '/reports/schedules'

describe('cost reports of the real host', () => {
  test('are previewed, as HTML, text and CSV', async () => {
    const { status, body } = await platform.call('POST', '/reports/preview', {
      period: 'daily',
      recipients: ['nobody@example.com'],
    })
    expect(status).toBe(200)
    const report = ReportReply.parse(body)
    expect(report.html).toContain('<!doctype html>')
    expect(report.text).toContain('Cost report')
    expect(readCsv(report.csv)[0]).toContain('cost_usd')
    expect((await platform.call('POST', '/reports/preview', { period: { from: '2026-11-20', to: '2026-11-01' } })).status).toBe(
      422,
    )
    expect((await platform.call('POST', '/reports/preview', { time_zone: 'Mars/Olympus' })).status).toBe(422)
  })

  test('have schedules that admins alone write', async () => {
    const created = await platform.call('POST', schedules, { ...daily, frequency: 'weekly' })
    expect(created.status).toBe(200)
    const { id, weekday, time_zone } = ReportScheduleReply.parse(created.body)
    expect([weekday, time_zone]).toEqual([1, 'UTC'])
    expect(created.body).not.toHaveProperty('claim')
    const put = await platform.call('PUT', `${schedules}/${id}`, { ...daily, time_zone: 'Europe/Berlin' })
    expect(put.body).toMatchObject({ frequency: 'daily', time_zone: 'Europe/Berlin' })
    expect((await platform.call('GET', `${schedules}/${id}`)).body).toEqual(put.body)
    expect((await platform.call('GET', schedules)).body).toEqual([put.body])
    await platform.call('POST', '/users', { username: 'ed', password: 'a long password', role: 'editor' })
    const signed = await fetch(`${platform.url}/auth/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'ed', password: 'a long password' }),
    })
    const { token }: { token: string } = JSON.parse(await signed.text())
    const asEditor = { authorization: `Bearer ${token}` }
    expect((await platform.call('POST', schedules, daily, asEditor)).status).toBe(403)
    expect((await platform.call('DELETE', `${schedules}/${id}`, undefined, asEditor)).status).toBe(403)
    expect((await platform.call('GET', schedules, undefined, asEditor)).status).toBe(200)
    expect((await platform.call('DELETE', `${schedules}/${id}`)).status).toBe(200)
    expect((await platform.call('GET', `${schedules}/${id}`)).status).toBe(404)
  })

  test('arrive in the outbox when they are due, once, and parse back', async () => {
    const { id } = ReportScheduleReply.parse((await platform.call('POST', schedules, { ...daily, name: 'Täglich' })).body)
    await platform.stop()
    const due_at = await makeDue(platform.home, id)
    platform = await startPlatform({ home: platform.home })
    const outbox = join(platform.home, 'outbox')
    const mails = await eventually(
      async () => readdirSync(outbox).filter((name) => name.endsWith('.eml')),
      (names) => names.length > 0,
    )
    expect(mails).toHaveLength(1)
    const message = readMime(readFileSync(join(outbox, mails[0] ?? '')))
    expect(message.headers.get('to')).toBe('ada@example.com')
    expect(message.headers.get('subject')).toMatch(/^Cost report .+: \$.+ \(.+\)$/)
    const [both, csv] = message.parts
    expect(both?.type).toBe('multipart/alternative')
    expect(both?.parts.map(({ type, charset }) => [type, charset])).toEqual([
      ['text/plain', 'utf-8'],
      ['text/html', 'utf-8'],
    ])
    expect(both?.parts[1]?.text).toContain(`${platform.url}/reports/schedules/${id}`)
    expect(csv?.file_name).toMatch(/^costs-.+\.csv$/)
    expect(readCsv(csv?.text.replace(/^\ufeff/, '') ?? '')[0]).toContain('deployment_name')
    const read = async () => ReportScheduleReply.parse((await platform.call('GET', `${schedules}/${id}`)).body)
    const after = await eventually(read, ({ last_sent_for }) => last_sent_for !== null)
    expect(after).toMatchObject({ last_sent_for: due_at.slice(0, 10), last_error: null })
    await platform.stop()
    platform = await startPlatform({ home: platform.home })
    await eventually(
      async () => platform.output(),
      (output) => output.includes('ready'),
    )
    expect(readdirSync(outbox).filter((name) => name.endsWith('.eml'))).toHaveLength(1)
  })
})

/** Makes a schedule as if it had been made two days ago, so that today's report is due; answers when. */
const makeDue = async (home: string, id: string): Promise<string> => {
  const records = sqliteRecords({ path: join(home, 'records.sqlite'), now: () => new Date() })
  const { items } = await records.query({ index: 'worklist', pk: 'report-schedules#due' })
  const stored = items.find(({ sk, body }) => body.id === id && sk !== '')
  if (!stored) throw new Error('the schedule does not stand in the worklist')
  const schedule = ReportSchedule.parse(stored.body)
  const due_at = `${new Date().toISOString().slice(0, 10)}T00:00:00.000Z`
  const armed_at = new Date(Date.now() - 2 * 86_400_000).toISOString()
  const put = {
    pk: stored.pk,
    sk: stored.sk,
    body: { ...schedule, armed_at },
    worklist: { pk: 'report-schedules#due', sk: `${due_at}#${id}` },
  }
  await records.write([{ put, expect: 'any' }])
  records.close()
  return due_at
}
