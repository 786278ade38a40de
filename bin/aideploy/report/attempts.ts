import type { Attempt, Measurement } from '../../../layers/core/domain/optimization.ts'
import { escapeHtml as e } from '../../../layers/core/domain/report-html.ts'
import type { SearchResult } from '../../../layers/optimizers/search.ts'
import { originalOf } from '../attempt-table.ts'
import { type Kind, kindOf, placeText, shownFidelity, shownLatencyChange, shownScore } from '../attempt-words.ts'
import { asFlags, shownBytes, shownChange, shownMs, shownSeconds, shownSettings, shownUsd } from '../words.ts'

const tone: Record<Kind, string> = {
  written: 'good',
  acceptable: 'good',
  inconclusive: 'warn',
  slower: 'warn',
  'no gain': 'soft',
  unfaithful: 'bad',
  failed: 'bad',
  'not built': 'soft',
}

interface Columns {
  task: string | undefined
  cost: boolean
}

/** Every attempt with its figures and, below them, its settings and the reason for its verdict. */
export function attemptsTable(result: SearchResult): string {
  const { attempts } = result
  const columns = {
    task: attempts.find(({ task }) => task)?.task?.metric,
    cost: attempts.some(({ cost_per_1000 }) => cost_per_1000?.original_usd != null),
  }
  const heads = [
    'candidate',
    'size',
    'p50',
    'p95',
    'fidelity',
    ...(columns.task ? [columns.task] : []),
    ...(columns.cost ? ['$ per 1,000'] : []),
    'verdict',
  ]
  const rows = attempts.map((attempt, index) => attemptRows(attempt, index, columns, result.pareto.includes(index)))
  return `<div class="scroll"><table><thead><tr>${heads.map((head) => `<th scope="col">${e(head)}</th>`).join('')}</tr></thead>
${originalRow(result, columns)}
${rows.join('\n')}
</table></div>`
}

const cell = (name: string, html: string): string => (html === '' ? '<td></td>' : `<td data-name="${e(name)}">${html}</td>`)
const interval = (low: string, high: string): string => `<span class="interval">${e(low)} – ${e(high)}</span>`

const timeCell = (name: string, ms: number | undefined, bounds: Measurement['p50_interval_ms'], change = ''): string => {
  const changed = change === '' ? '' : `<span class="interval">${e(change)}</span>`
  return cell(
    name,
    ms === undefined ? '' : `${e(shownMs(ms))}${changed}${bounds ? interval(shownMs(bounds[0]), shownMs(bounds[1])) : ''}`,
  )
}

function originalRow({ attempts, original }: SearchResult, columns: Columns): string {
  const typical = originalOf(attempts)
  const task = attempts.find((attempt) => attempt.task)?.task
  const cost = attempts.find((attempt) => attempt.cost_per_1000)?.cost_per_1000
  return `<tbody><tr class="row"><td>original</td>${cell('size', e(shownBytes(original.size_bytes)))}${timeCell('p50', typical?.p50_ms, undefined)}${timeCell('p95', typical?.p95_ms, undefined)}<td></td>${
    columns.task ? cell(columns.task, task ? scoreHtml(task.metric, task.original) : '') : ''
  }${columns.cost ? cell('$ per 1,000', usd(cost?.original_usd)) : ''}<td></td></tr></tbody>`
}

const usd = (amount: number | null | undefined): string => (amount == null ? 'unpriced' : e(shownUsd(amount)))

type Task = NonNullable<Attempt['task']>
const scoreHtml = (metric: Task['metric'], { value, interval: [low, high] }: Task['original']): string =>
  `${e(shownScore(metric, value))}${interval(shownScore(metric, low), shownScore(metric, high))}`

function attemptRows(attempt: Attempt, index: number, columns: Columns, on_front: boolean): string {
  const { candidate, original, task, cost_per_1000: cost, build_ms, expected_size_bytes } = attempt
  const kind = kindOf(attempt)
  const size = candidate
    ? `${e(shownBytes(candidate.size_bytes))}${original ? `<span class="interval">${e(shownChange(original.size_bytes, candidate.size_bytes))}</span>` : ''}`
    : expected_size_bytes == null
      ? ''
      : `<span class="soft">≈ ${e(shownBytes(expected_size_bytes))}</span>`
  const cells = [
    `<td>${e(`${placeText(attempt, index)} ${attempt.name}`)}</td>`,
    cell('size', size),
    timeCell('p50', candidate?.p50_ms, candidate?.p50_interval_ms, shownLatencyChange(attempt)),
    timeCell('p95', candidate?.p95_ms, candidate?.p95_interval_ms),
    cell('fidelity', e(shownFidelity(attempt))),
    ...(columns.task ? [cell(columns.task, task ? scoreHtml(task.metric, task.candidate) : '')] : []),
    ...(columns.cost ? [cell('$ per 1,000', cost ? usd(cost.candidate_usd) : '')] : []),
    `<td class="${tone[kind]}">${e(kind === 'written' ? 'chosen' : kind)}${on_front ? '<span class="interval">on the front</span>' : ''}</td>`,
  ]
  const settings = shownSettings(attempt.settings)
  const built = build_ms === undefined ? '' : ` Built in ${shownSeconds(build_ms / 1000)}.`
  const why = `${settings ? `<b>${e(settings)}</b> · ` : ''}${e(`${asFlags(attempt.reason)}.${built}`)}`
  return `<tbody${kind === 'written' ? ' class="chosen"' : ''}><tr class="row">${cells.join('')}</tr><tr class="why"><td colspan="${cells.length}">${why}</td></tr></tbody>`
}
