import { describe, expect, it } from 'vitest'
import { nanoUsdFrom } from '../../../layers/core/domain/money.ts'
import { columnsOf } from '../../../layers/core/domain/report-text.ts'
import { shownUsd } from '../../../layers/core/domain/report-words.ts'
import { analyseCost } from '../../../layers/core/usecases/analyse-cost.ts'
import { previewReport } from '../../../layers/core/usecases/preview-report.ts'
import { readCsv } from '../../support/csv.ts'
import { deploymentOf, viewer } from '../../support/fleet.ts'
import { failure } from '../../support/records.ts'
import { busyFortnight, organization, reportApp, traffic } from '../../support/reports.ts'

const weekly = { period: 'weekly', time_zone: 'Europe/Berlin' } as const

/** What mail clients do not know, or what could load or run something. */
const forbidden = [
  /<script/i,
  /<img/i,
  /<link/i,
  /<iframe/i,
  /\son\w+=/i,
  /javascript:/i,
  /display:\s*(flex|grid)/i,
  /url\(/i,
  /@import/i,
  /https?:\/\/(?!deploy\.example\.com)/,
]

/** Every element that opens closes, in order. */
const isBalanced = (html: string): boolean => {
  const open: string[] = []
  for (const [, slash, name = ''] of html.matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*>/gi)) {
    if (['meta', 'br'].includes(name)) continue
    if (slash !== '/') open.push(name)
    else if (open.pop() !== name) return false
  }
  return open.length === 0
}

describe('a cost report', () => {
  it('says what the analysis says, and its CSV sums to it to the nano-dollar', async () => {
    const app = reportApp()
    await busyFortnight(app)
    const report = await previewReport(app, viewer, weekly)
    const window = { start_time: '2026-11-12T23:00:00Z', end_time: '2026-11-19T23:00:00Z' }
    const cost = await analyseCost(app, viewer, window)
    expect(report.period).toEqual({ from: '2026-11-13', to: '2026-11-20', time_zone: 'Europe/Berlin' })
    expect(report.totals.total_cost).toBe(cost.total_cost)
    expect(cost.total_cost).toBeGreaterThan(0.05)
    const [header = [], ...lines] = readCsv(report.csv)
    expect(header).toEqual(['date', 'deployment_id', 'deployment_name', 'deployment_type', 'service', 'cost_usd', 'note'])
    const sumOf = (rows: string[][]) => rows.reduce((sum, row) => sum + BigInt((row[5] ?? '').replace('.', '')), 0n)
    expect(sumOf(lines)).toBe(nanoUsdFrom(cost.total_cost))
    for (const [id, usd] of Object.entries(cost.cost_by_deployment))
      expect(sumOf(lines.filter((row) => row[1] === id))).toBe(nanoUsdFrom(usd))
    for (const service of ['compute', 'storage', 'network'] as const)
      expect(sumOf(lines.filter((row) => row[4] === service))).toBe(nanoUsdFrom(cost.cost_breakdown[service]))
    expect(new Set(lines.map((row) => row.slice(0, 5).join('|'))).size).toBe(lines.length)
    expect(new Set(lines.map(([date]) => date)).size).toBe(7)
    expect(lines.filter((row) => row[1] === 'dep_3').every((row) => row[6]?.includes('unpriced'))).toBe(true)
  })

  it('names everything it should: change, elsewhere, forecast, savings, unpriced, deletions, the platform, every basis', async () => {
    const app = reportApp()
    await busyFortnight(app)
    const { text, html, subject, totals } = await previewReport(app, viewer, weekly)
    expect(subject).toBe(`Cost report 13–19 Nov 2026: ${shownUsd(totals.total_cost)} (Acme Robotics)`)
    const flat = (from: string) => from.replace(/\s+/g, ' ')
    for (const words of [
      /% (less|more) than the 7 days before/,
      /fraud-scoring/,
      /AWS, always on/,
      /Azure, always on/,
      /% less here/,
      /The next 30 days/i,
      /Saved by sleeping/i,
      /no price is known for deployment type custom/,
      /old-churn-model.*2026-11-25/,
      /The platform itself, at rest/,
      /AWS Lambda arm64 us-east-1/,
      /nobody was sent it/,
    ]) {
      expect(flat(text)).toMatch(words)
      expect(flat(html.replace(/<[^>]+>/g, ' '))).toMatch(words)
    }
    // Slept from 10 Nov 02:00 until the next hour with requests, and from 15 Nov 00:30 on.
    expect(totals.saved_by_sleeping).toBeCloseTo(0.027 * (24 * 4 + 22.5), 6)
  })

  it('shows names as text, whatever they hold', async () => {
    const app = reportApp()
    const hostile = [
      '<script>alert(1)</script>',
      '"><img src=x onerror=alert(1)>',
      '=HYPERLINK("http://evil.example","x")',
      '+1+1|cmd',
      '-2+3',
      '@SUM(A1)',
      '\u202Egnp.exe',
      'comma, "quote" and\u2028line',
      '漢字の名前 🚀 naïve',
      `${'long'.repeat(60)}`,
      '&lt;b&gt; <b>',
    ]
    await organization(app, 'org_1', 'Evil <b>& Sons</b>\u202E')
    for (const [at, name] of hostile.entries())
      await traffic(app, deploymentOf(`dep_${at}`, { name }), {
        from: '2026-11-18T00:00:00Z',
        to: '2026-11-18T03:00:00Z',
        per_hour: 40,
      })
    const { html, text, csv, subject } = await previewReport(app, viewer, weekly)
    const tags = [...html.matchAll(/<[^>]*>/g)].join('\n')
    for (const pattern of forbidden) expect(pattern.test(tags), String(pattern)).toBe(false)
    expect(isBalanced(html.replace(/<!doctype html>/, ''))).toBe(true)
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
    expect(html).toContain('&amp;lt;b&amp;gt; &lt;b&gt;')
    for (const shown of [html, text, csv, subject]) expect(shown).not.toMatch(/[\u202A-\u202E\u2066-\u2069\u2028]/)
    const cells = readCsv(csv).flat()
    expect(cells).toContain(`'=HYPERLINK("http://evil.example","x")`)
    expect(cells.filter((cell) => /^\s*[=+\-@\t＝＋－＠]/.test(cell))).toEqual([])
    for (const line of text.split('\n')) {
      const is_one_word = !line.trim().includes(' ')
      expect(is_one_word || columnsOf(line) <= 72 || line.includes('longlong'), line).toBe(true)
    }
  })

  it('is at most 640 pixels wide, in tables, light and dark', async () => {
    const app = reportApp()
    await busyFortnight(app)
    const { html } = await previewReport(app, viewer, weekly)
    expect(html).toContain('max-width:640px')
    expect(html).toContain('prefers-color-scheme:dark')
    expect(html.match(/bgcolor="#2f7d6b"/g)).toHaveLength(7)
    expect(Buffer.byteLength(html)).toBeLessThan(100_000)
    for (const pattern of forbidden) expect(pattern.test(html), String(pattern)).toBe(false)
  })

  it('reads well where there is nothing', async () => {
    const app = reportApp()
    await organization(app)
    const { text, csv, totals } = await previewReport(app, viewer, { period: 'daily', time_zone: 'Pacific/Kiritimati' })
    expect(totals).toMatchObject({ total_cost: 0, previous_total_cost: 0 })
    expect(text).toContain('Your deployments cost $0: nothing, as in the day before.')
    expect(readCsv(csv)).toHaveLength(1)
  })

  it('draws a long period with as many bars as fit', async () => {
    const app = reportApp()
    await busyFortnight(app)
    const period = { from: '2026-06-01', to: '2026-11-20' }
    const { html } = await previewReport(app, viewer, { period, time_zone: 'UTC' })
    expect(html.match(/[";]height:10px/g)?.length ?? 0).toBeLessThanOrEqual(2 * 31)
  })

  it('refuses days that are not over, or none', async () => {
    const app = reportApp()
    await organization(app)
    for (const period of [
      { from: '2026-11-10', to: '2026-11-10' },
      { from: '2026-11-10', to: '2026-11-21' },
      { from: '2024-01-01', to: '2026-11-01' },
    ])
      await failure('invalid_request', previewReport(app, viewer, { period, time_zone: 'UTC' }))
  })

  it('never says zero of what is not', () => {
    expect([0, 0.00000001, 0.00123, 0.5, 1, 1234.567, -0.2].map(shownUsd)).toEqual([
      '$0',
      '<$0.0001',
      '$0.0012',
      '$0.5000',
      '$1.00',
      '$1,234.57',
      '-$0.2000',
    ])
  })
})
