import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import type { Principal } from '../../../layers/core/domain/principal.ts'
import { ReportScheduleSpec } from '../../../layers/core/domain/report-schedule.ts'
import type { MailMessage } from '../../../layers/core/ports/mail.ts'
import { createReportSchedule } from '../../../layers/core/usecases/create-report-schedule.ts'
import { deleteReportSchedule } from '../../../layers/core/usecases/delete-report-schedule.ts'
import { getReportSchedule } from '../../../layers/core/usecases/get-report-schedule.ts'
import { listReportSchedules } from '../../../layers/core/usecases/list-report-schedules.ts'
import { sendCostReports } from '../../../layers/core/usecases/send-cost-reports.ts'
import { updateReportSchedule } from '../../../layers/core/usecases/update-report-schedule.ts'
import { outboxMail } from '../../../layers/mail/outbox.ts'
import { smtpMail } from '../../../layers/mail/smtp.ts'
import { readCsv } from '../../support/csv.ts'
import { deploymentOf } from '../../support/fleet.ts'
import { readMime } from '../../support/mime.ts'
import { failure } from '../../support/records.ts'
import { organization, type ReportWorld, reportApp, traffic } from '../../support/reports.ts'
import { smtpServer } from '../../support/smtp-server.ts'

const adminOf = (organization_id: string): Principal => ({
  kind: 'user',
  id: 'usr_1',
  name: 'ada',
  organization_id,
  role: 'admin',
})
const spec = (changes: Partial<ReportScheduleSpec> = {}) =>
  ReportScheduleSpec.parse({ name: 'weekly', recipients: ['ada@example.com'], time_zone: 'Europe/Berlin', ...changes })

/** Friday, 10 days before winter's first Monday report. */
const begin = '2026-11-20T12:00:00.000Z'

const outboxOf = () => {
  const dir = mkdtempSync(join(tmpdir(), 'outbox-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return {
    mail: outboxMail({ dir, from: 'AI Deploy <aideploy@localhost>' }),
    files: () => readdirSync(dir).map((name) => join(dir, name)),
  }
}

describe('report schedules', () => {
  it('are due by the wall clock of their zone, once, from when they were made', async () => {
    const app = reportApp(begin)
    await organization(app)
    const { id, next_due_at } = await createReportSchedule(app, adminOf('org_1'), spec())
    expect(next_due_at).toBe('2026-11-23T06:00:00.000Z')
    expect(await sendCostReports(app)).toEqual({ due: 0, sent: 0, failed: 0 })
    app.clock.set('2026-11-23T05:59:59Z')
    expect(await sendCostReports(app)).toMatchObject({ sent: 0 })
    app.clock.set('2026-11-23T06:00:00Z')
    expect(await sendCostReports(app)).toEqual({ due: 1, sent: 1, failed: 0 })
    for (const later of ['2026-11-23T06:15:00Z', '2026-11-29T23:00:00Z', '2026-11-30T05:59:00Z']) {
      app.clock.set(later)
      expect(await sendCostReports(app)).toEqual({ due: 0, sent: 0, failed: 0 })
    }
    app.clock.set('2026-12-02T00:00:00Z')
    expect(await sendCostReports(app)).toMatchObject({ sent: 1 })
    expect(app.mails.map(({ key }) => key)).toEqual([`${id}-2026-11-23`, `${id}-2026-11-30`])
    expect(app.mails[0]?.subject).toContain('16–22 Nov 2026')
    expect(await getReportSchedule(app, adminOf('org_1'), id)).toMatchObject({
      last_sent_for: '2026-11-30',
      last_sent_at: '2026-12-02T00:00:00.000Z',
      last_error: null,
      next_due_at: '2026-12-07T06:00:00.000Z',
    })
  })

  it('send one report on each of the days a clock changes', async () => {
    for (const [from, days, time_zone] of [
      ['2027-03-26T12:00:00.000Z', ['2027-03-27', '2027-03-28', '2027-03-29'], 'Europe/Berlin'],
      ['2026-10-23T12:00:00.000Z', ['2026-10-24', '2026-10-25', '2026-10-26'], 'Europe/Berlin'],
      ['2026-10-02T12:00:00.000Z', ['2026-10-03', '2026-10-04', '2026-10-05'], 'Australia/Lord_Howe'],
      ['2026-11-18T12:30:00.000Z', ['2026-11-20', '2026-11-21', '2026-11-22'], 'Pacific/Kiritimati'],
    ] as const) {
      const app = reportApp(from)
      await organization(app)
      await createReportSchedule(app, adminOf('org_1'), spec({ frequency: 'daily', hour: 2, time_zone }))
      for (let quarter = 0; quarter < 96 * 3; quarter += 1) {
        app.clock.advance(900_000)
        await sendCostReports(app)
      }
      expect(app.mails.map(({ key }) => key?.slice(-10))).toEqual(days)
    }
  })

  it('catch up with one report after an outage, not with all that were missed', async () => {
    const app = reportApp(begin)
    await organization(app)
    await createReportSchedule(app, adminOf('org_1'), spec({ frequency: 'daily' }))
    app.clock.set('2026-12-20T12:00:00Z')
    expect(await sendCostReports(app)).toMatchObject({ sent: 1 })
    expect(await sendCostReports(app)).toMatchObject({ due: 0 })
    expect(app.mails.map(({ key }) => key?.slice(-10))).toEqual(['2026-12-20'])
  })

  it('send nothing that was due before their times were moved, or while they are off', async () => {
    const app = reportApp(begin)
    await organization(app)
    const admin = adminOf('org_1')
    const { id } = await createReportSchedule(app, admin, spec({ frequency: 'daily', hour: 15, enabled: false }))
    app.clock.set('2026-11-22T15:00:00Z')
    expect(await sendCostReports(app)).toMatchObject({ due: 0 })
    await updateReportSchedule(app, admin, id, spec({ frequency: 'daily', hour: 15 }))
    expect(await sendCostReports(app)).toMatchObject({ due: 0 })
    app.clock.set('2026-11-23T14:00:00Z')
    expect(await sendCostReports(app)).toMatchObject({ sent: 1 })
    const moved = await updateReportSchedule(app, admin, id, spec({ frequency: 'daily', hour: 17 }))
    expect(moved.next_due_at).toBe('2026-11-24T16:00:00.000Z')
    app.clock.set('2026-11-23T18:00:00Z')
    expect(await sendCostReports(app)).toMatchObject({ due: 0 })
    await deleteReportSchedule(app, admin, id)
    app.clock.set('2026-11-25T18:00:00Z')
    expect(await sendCostReports(app)).toMatchObject({ due: 0 })
    expect(app.mails).toHaveLength(1)
  })

  it('belong to their organisation', async () => {
    const app = reportApp(begin)
    await organization(app, 'org_1')
    await organization(app, 'org_2')
    const { id } = await createReportSchedule(app, adminOf('org_1'), spec())
    expect(await listReportSchedules(app, adminOf('org_2'))).toEqual([])
    for (const attempt of [
      getReportSchedule(app, adminOf('org_2'), id),
      updateReportSchedule(app, adminOf('org_2'), id, spec()),
      deleteReportSchedule(app, adminOf('org_2'), id),
    ])
      await failure('not_found', attempt)
    await failure('version_conflict', createReportSchedule(app, adminOf('org_3'), spec()))
  })

  it('refuse what is no schedule, saying what was wanted', () => {
    const wrong = [
      { recipients: [] },
      { recipients: Array.from({ length: 51 }, (_, at) => `a${at}@example.com`) },
      { recipients: ['ada@example.com', 'ADA@example.com'] },
      { recipients: ['ada'] },
      { recipients: ['ada@example.com\r\nBcc: eve@example.com'] },
      { time_zone: 'Mars/Olympus' },
      { time_zone: '+02:00' },
      { hour: 24 },
      { day: 29 },
      { weekday: 0 },
      { frequency: 'hourly' },
      { name: 'a\nb' },
      { nonsense: 1 },
    ]
    for (const change of wrong)
      expect(
        ReportScheduleSpec.safeParse({ name: 'x', recipients: ['a@example.com'], ...change }).success,
        JSON.stringify(change),
      ).toBe(false)
  })
})

describe('sending', () => {
  it('tries again what the mail server refused, and says so in the schedule', async () => {
    const app = reportApp(begin)
    await organization(app)
    const { id } = await createReportSchedule(app, adminOf('org_1'), spec())
    const broken = {
      ...app,
      mail: { send: () => Promise.reject(new PlatformError('unavailable', 'The mail server did not take it (550)')) },
    }
    app.clock.set('2026-11-23T06:00:00Z')
    for (const attempts of [1, 2, 3]) {
      expect(await sendCostReports(broken)).toEqual({ due: 1, sent: 0, failed: 1 })
      const { last_error, last_sent_for } = await getReportSchedule(app, adminOf('org_1'), id)
      expect(last_error).toMatchObject({ for: '2026-11-23', attempts, detail: 'The mail server did not take it (550)' })
      expect(last_sent_for).toBeNull()
      app.clock.advance(900_000)
    }
    expect(await sendCostReports(app)).toMatchObject({ sent: 1 })
    expect(await getReportSchedule(app, adminOf('org_1'), id)).toMatchObject({ last_error: null, last_sent_for: '2026-11-23' })
    expect(app.mails[0]?.subject).toContain('16–22 Nov 2026')
  })

  it('is one message although many hosts run the schedule at once', async () => {
    const app = reportApp(begin)
    await organization(app)
    for (let at = 0; at < 5; at += 1) await createReportSchedule(app, adminOf('org_1'), spec({ name: `s${at}` }))
    app.clock.set('2026-11-23T06:00:00Z')
    const sent: MailMessage[] = []
    const send = (message: MailMessage) => {
      sent.push(message)
      return app.mail.send(message)
    }
    const counting = { ...app, mail: { send } }
    await Promise.all(Array.from({ length: 6 }, () => sendCostReports(counting)))
    expect(sent).toHaveLength(5)
    expect(new Set(app.mails.map(({ key }) => key)).size).toBe(5)
  })

  it('neither loses nor doubles a report, wherever the host dies', async () => {
    let points = 0
    for (const moment of ['before', 'after'] as const)
      for (let at = 1; ; at += 1) {
        const ended = await dieAt(at, moment)
        if (!ended) break
        points += 1
      }
    expect(points).toBeGreaterThan(200)
  })

  it('makes a message that mail programs read: HTML, text, CSV, one Message-ID for one report', async () => {
    const app = reportApp(begin)
    await organization(app, 'org_1', 'Zürich Räder 自転車')
    await traffic(app, deploymentOf('dep_1', { name: 'Größe "x", = 漢字' }), {
      from: '2026-11-18T00:00:00Z',
      to: '2026-11-18T05:00:00Z',
      per_hour: 10,
    })
    await createReportSchedule(app, adminOf('org_1'), spec({ recipients: ['ada@example.com', 'bo@example.com'] }))
    app.clock.set('2026-11-23T06:00:00Z')
    const { mail, files } = outboxOf()
    expect(await sendCostReports({ ...app, mail })).toMatchObject({ sent: 1 })
    const [file = ''] = files()
    const message = readMime(readFileSync(file))
    expect(message.headers.get('subject')).toMatch(/^Cost report 16–22 Nov 2026: .+ \(Zürich Räder 自転車\)$/)
    expect(message.headers.get('to')).toBe('ada@example.com, bo@example.com')
    expect(message.type).toBe('multipart/mixed')
    const [both, csv] = message.parts
    expect(both?.parts.map(({ type, charset }) => `${type} ${charset}`)).toEqual(['text/plain utf-8', 'text/html utf-8'])
    expect(both?.parts[0]?.text).toContain('自転車')
    expect(both?.parts[1]?.text).toContain('Größe &quot;x&quot;, = 漢字')
    expect(both?.parts[0]?.text).toContain('PUT or DELETE')
    expect(csv).toMatchObject({ type: 'text/csv', file_name: 'costs-2026-11-16-to-2026-11-23.csv' })
    expect(readCsv(csv?.text.replace(/^\ufeff/, '') ?? '')[1]).toContain('Größe "x", = 漢字')
    expect(csv?.text.startsWith('\ufeff')).toBe(true)

    const server = await smtpServer()
    onTestFinished(() => server.stop())
    const smtp = smtpMail({ url: `smtp://127.0.0.1:${server.port}`, from: 'AI Deploy <reports@example.org>' })
    await createReportSchedule(app, adminOf('org_1'), spec({ name: 'by SMTP' }))
    app.clock.set('2026-11-30T06:00:00Z')
    expect(await sendCostReports({ ...app, mail: smtp })).toMatchObject({ sent: 2 })
    const arrived = readMime((server.messages[1] ?? '').replace(/^\.\./gm, '.'))
    expect(arrived.parts[0]?.parts[1]?.text).toContain('Größe &quot;x&quot;, = 漢字')
    expect(arrived.headers.get('message-id')).toMatch(/^<rsc_.+-2026-11-30@example\.org>$/)

    const again: MailMessage = { to: ['a@example.com'], subject: 's', text: 't', key: 'rsc_1-2026-11-23' }
    const ids = [(await smtp.send(again)).message_id, (await smtp.send(again)).message_id]
    expect(ids).toEqual(['<rsc_1-2026-11-23@example.org>', '<rsc_1-2026-11-23@example.org>'])
    await failure('invalid_request', smtp.send({ ...again, key: '../../x' }))
  })
})

/** Kills the run at its n-th call of records or mail, then lets others run on; false when it has fewer calls. */
const dieAt = async (at: number, moment: 'before' | 'after'): Promise<boolean> => {
  const app = reportApp(begin)
  await organization(app, 'org_1')
  await organization(app, 'org_2')
  for (const [org, name] of [
    ['org_1', 'a'],
    ['org_1', 'b'],
    ['org_2', 'c'],
  ] as const)
    await createReportSchedule(app, adminOf(org), spec({ name }))
  app.clock.set('2026-11-23T06:00:00Z')
  const { died, world } = mortal(app, at, moment)
  await sendCostReports(world).catch(() => undefined)
  if (!died()) {
    app.records.close()
    return false
  }
  for (let later = 0; later < 3; later += 1) {
    app.clock.advance(900_000)
    await sendCostReports(app)
  }
  const keys = app.mails.map(({ key }) => key)
  expect([keys.length, new Set(keys).size], `${moment} call ${at}`).toEqual([3, 3])
  for (const org of ['org_1', 'org_2'])
    for (const schedule of await listReportSchedules(app, adminOf(org)))
      expect(schedule, `${moment} call ${at}`).toMatchObject({ last_sent_for: '2026-11-23', last_error: null })
  app.records.close()
  return true
}

/** A host that stops for good at its n-th call: nothing it calls has any effect from then on. */
const mortal = (app: ReportWorld, at: number, moment: 'before' | 'after') => {
  let calls = 0
  let dead = false
  const guard =
    <Args extends unknown[], Answer>(work: (...args: Args) => Promise<Answer>) =>
    async (...args: Args): Promise<Answer> => {
      calls += 1
      if (dead || (calls === at && moment === 'before')) {
        dead = true
        throw new Error('killed')
      }
      const answer = await work(...args)
      if (calls === at) {
        dead = true
        throw new Error('killed')
      }
      return answer
    }
  const { records } = app
  const world = {
    ...app,
    records: { ...records, get: guard(records.get), query: guard(records.query), write: guard(records.write) },
    mail: { send: guard(app.mail.send) },
  }
  return { died: () => dead, world }
}
