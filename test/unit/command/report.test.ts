import { describe, expect, it } from 'vitest'
import { attemptTable, outcomeText } from '../../../bin/aideploy/attempt-table.ts'
import type { MeasuredOn } from '../../../bin/aideploy/measured-on.ts'
import { drawProgress } from '../../../bin/aideploy/progress.ts'
import { reportPage } from '../../../bin/aideploy/report/page.ts'
import { terminalOf } from '../../../bin/aideploy/terminal.ts'
import { displayWidth } from '../../../bin/aideploy/text-table.ts'
import type { Attempt } from '../../../layers/core/domain/optimization.ts'
import type { SearchResult } from '../../../layers/optimizers/search.ts'

const evil = '<img src=x onerror=alert(1)>&"\u202e\u001b[31m.onnx'
const original = { size_bytes: 10_000_000, p50_ms: 20, p95_ms: 25, runs: 50 }
const attempt = (changes: Partial<Attempt>, size_bytes = 3_000_000, p50_ms = 15): Attempt => ({
  name: 'dynamic-int8',
  settings: { weight_type: 'u8', note: evil },
  verdict: 'accepted',
  reason: `Accepted: ${evil}`,
  original,
  candidate: { ...original, size_bytes, p50_ms, p50_interval_ms: [p50_ms - 1, p50_ms + 1] },
  fidelity: { sqnr_db: 31.2, cosine: 1, max_abs_error: 0, top1_agreement: 0.995, classes_seen: 9, rows: 128, inputs: 'supplied' },
  task: {
    metric: 'exact_match',
    rows: 500,
    original: { value: 0.84, interval: [0.81, 0.87] },
    candidate: { value: 0.83, interval: [0.8, 0.86] },
    loss: { value: 0.01, interval: [0, 0.02] },
  },
  cost_per_1000: { target: 'lambda-arm64', original_usd: 0.0021, candidate_usd: 0.0012, basis: `list ${evil}` },
  ...changes,
})
const attempts = [
  attempt({ verdict: 'published' }),
  attempt({ verdict: 'rejected', reason: 'Inconclusive: maybe' }, 5_000_000, 19),
  attempt({ verdict: 'rejected', reason: 'Unfaithful: far', base: 0 }, 1_000_000, 9),
  { name: evil, settings: {}, verdict: 'failed' as const, reason: `Node ${evil} is broken` },
  { name: 'x', settings: {}, verdict: 'skipped' as const, reason: 'harsher', expected_size_bytes: 9 },
]
const result: SearchResult = {
  plan: [],
  left_out: [{ optimizer: 'static-int8', reason: `wants ${evil}` }],
  inspection: { format: 'onnx', producer: evil },
  original: { path: `/models/${evil}`, size_bytes: 10_000_000 },
  target_size_bytes: 4_000_000,
  target_latency_ms: 10,
  target: 'lambda-arm64',
  attempts,
  pareto: [0, 2],
  chosen: { index: 0, path: `/out/${evil}`, size_bytes: 3_000_000, sha256: 'ab' },
  result: {
    size_reduction_percentage: 70,
    latency_reduction_percentage: 25,
    accuracy_change_percentage: -1,
    accuracy_source: 'task_metric',
    target_met: false,
  },
  target_met: false,
  reason: `The time budget is used ${evil}`,
  interrupted: false,
  spent_s: 12,
  budget_s: 60,
}
const on: MeasuredOn = {
  cpu: evil,
  cores: 2,
  threads: 1,
  memory_bytes: 8e9,
  system: 'linux x64',
  node: '24',
  onnxruntime: '1.30.0',
  aideploy: '0.1.0',
  at: '2026-11-21T10:00:00.000Z',
}

describe('the report', () => {
  it('lets nothing of a foreign name become markup', () => {
    const page = reportPage(result, on)
    expect(page).not.toContain('<img')
    expect(page.match(/&lt;img src=x onerror=alert\(1\)&gt;&amp;&quot;/g)?.length).toBeGreaterThanOrEqual(10)
    const opened = [...page.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*?(\/?)>/gi)].map(([, close, name, self]) => ({
      close,
      name,
      self,
    }))
    const voids = new Set(['meta', 'br', 'img'])
    const open: string[] = []
    for (const { close, name = '', self } of opened) {
      if (self === '/' || voids.has(name)) continue
      if (close === '/') expect(open.pop()).toBe(name)
      else open.push(name)
    }
    expect(open).toEqual([])
  })

  it('is one file without scripts, with a picture for wide and narrow screens, light and dark', () => {
    const page = reportPage(result, on)
    expect(page).not.toMatch(/<script|<link|src=(?!x onerror)|url\(|@import/)
    expect(page.match(/<svg class="pareto"/g)).toHaveLength(2)
    expect(page).toContain('prefers-color-scheme:dark')
    expect(page).toContain('#3 on #1 dynamic-int8')
    expect(page).toContain('The targets are not met; this comes nearest to them.')
    expect(page).toContain('500 of them labelled')
  })

  it('is made of a search that found, measured or tried nothing as well', () => {
    const nothing = {
      ...result,
      attempts: [],
      pareto: [],
      chosen: null,
      target_met: null,
      reason: 'No candidate could be planned',
    }
    const page = reportPage(nothing, on)
    expect(page).toContain('Nothing was acceptable')
    expect(page).not.toMatch(/NaN|undefined|Infinity/)
    expect(reportPage({ ...nothing, interrupted: true }, on)).toContain('Interrupted')
    expect(reportPage(result, on)).not.toMatch(/NaN|undefined|Infinity/)
  })
})

const stream = (isTTY: boolean, columns = 80) => {
  const written: string[] = []
  return { written, isTTY, columns, write: (text: string) => void written.push(text) }
}

describe('what a terminal shows', () => {
  it('is at most 80 columns wide where there is no terminal, and moves no cursor', () => {
    const [stdout, stderr] = [stream(false), stream(false)]
    const terminal = terminalOf({ stdout, stderr }, {})
    const text = `${attemptTable(result, terminal)}${outcomeText(result, terminal)}`
    expect(Math.max(...text.split('\n').slice(0, -2).map(displayWidth))).toBeLessThanOrEqual(80)
    expect([...text].filter((char) => '\u001b\u202e\r'.includes(char))).toEqual([])
    expect(text).toMatch(/^#1 dynamic.* 3\.00 MB +15\.0 ms +−25\.0 % +99\.5 % +83\.0 % +\$0\.0012 +written$/m)
    expect(text).toContain('1 not built')
    const wide = terminalOf({ stdout: stream(true, 120), stderr }, { NO_COLOR: '1' })
    expect(attemptTable(result, wide)).toMatch(/^#1 dynamic-int8 .*15\.0 ms +−25\.0 % +25\.0 ms/m)
    expect(text).toMatch(/Target size 4\.00 MB: met with 3\.00 MB\.\nTarget latency 10\.0 ms: not met with 15\.0 ms\./)
  })

  it.each([
    [true, {}, true],
    [true, { NO_COLOR: '1' }, false],
    [true, { NO_COLOR: '' }, true],
    [true, { TERM: 'dumb' }, false],
    [false, {}, false],
  ])('is coloured where that is wanted: terminal %s, %o', (isTTY, env, coloured) => {
    const terminal = terminalOf({ stdout: stream(isTTY), stderr: stream(false) }, env)
    expect(attemptTable(result, terminal).includes('\u001b[')).toBe(coloured)
  })

  it('draws one live line over itself on a terminal and plain lines elsewhere', () => {
    const shown = (isTTY: boolean) => {
      const stderr = stream(isTTY)
      const progress = drawProgress(terminalOf({ stdout: stream(false), stderr }, {}))
      progress.show({ kind: 'planned', inspection: { format: 'onnx' }, plan: { plan: [], left_out: [] }, budget_s: 60 })
      progress.show({ kind: 'building', place: 0, name: 'dynamic-int8', settings: {}, spent_s: 0, budget_s: 60 })
      progress.show({ kind: 'tried', place: 0, attempt: attempts[0]!, spent_s: 2.5, budget_s: 60 })
      progress.stop()
      return stderr.written.join('')
    }
    expect(shown(false)).toMatch(
      /^0 candidates known[^\r]*\n {2}2\.5\/60 s {2}#1 dynamic-int8: 3\.00 MB, p50 −25\.0 %, 99\.5 % {2}written\n$/,
    )
    const lines = shown(true).split('\r\u001b[2K')
    expect(lines.some((line) => line.includes('building dynamic-int8'))).toBe(true)
    expect(lines.some((line) => /^ {2}2\.5\/60 s {2}#1/.test(line))).toBe(true)
  })
})
