import type { Attempt } from '../../layers/core/domain/optimization.ts'
import type { SearchResult } from '../../layers/optimizers/search.ts'
import { kindOf, placeText, shownFidelity, shownLatencyChange, shownScore } from './attempt-words.ts'
import type { Terminal } from './terminal.ts'
import { type Column, textTable, wrapped } from './text-table.ts'
import { asFlags, harmless, shownBytes, shownChange, shownMs, shownSeconds, shownSettings, shownUsd } from './words.ts'

const left = (title: string): Column => ({ title, align: 'left' })
const right = (title: string): Column => ({ title, align: 'right' })

/** The middle one of what the original took in each of the comparisons, for the line of its own. */
export function originalOf(attempts: readonly Attempt[]): { p50_ms: number; p95_ms: number } | undefined {
  const measured = attempts.flatMap(({ original }) => original ?? []).toSorted((a, b) => a.p50_ms - b.p50_ms)
  return measured[Math.floor(measured.length / 2)]
}

interface TableColumn {
  column: Column
  /** What the original has there. */
  first: string
  cell: (attempt: Attempt) => string
}

/**
 * The task only where there are labels, the cost only where there are prices. `change` is of p50, against the original of the same
 * comparison: a machine is not equally fast all day, so that times of different comparisons say less.
 */
function columnsFor(attempts: readonly Attempt[], original_bytes: number): TableColumn[] {
  const typical = originalOf(attempts)
  const task = attempts.find((attempt) => attempt.task)?.task
  const cost = attempts.find(({ cost_per_1000 }) => cost_per_1000?.original_usd != null)?.cost_per_1000
  const of = (column: Column, first: string, cell: TableColumn['cell']): TableColumn => ({ column, first, cell })
  const timeOf = (ms: number | undefined): string => (ms === undefined ? '' : shownMs(ms))
  return [
    of(right('size'), shownBytes(original_bytes), ({ candidate }) => (candidate ? shownBytes(candidate.size_bytes) : '')),
    of(right('p50'), timeOf(typical?.p50_ms), ({ candidate }) => timeOf(candidate?.p50_ms)),
    of(right('change'), '', shownLatencyChange),
    of({ ...right('p95'), optional: true }, timeOf(typical?.p95_ms), ({ candidate }) => timeOf(candidate?.p95_ms)),
    of(right('fidelity'), '', shownFidelity),
    ...(task
      ? [
          of(
            right(task.metric === 'exact_match' ? 'exact' : task.metric),
            shownScore(task.metric, task.original.value),
            ({ task: judged }) => (judged ? shownScore(judged.metric, judged.candidate.value) : ''),
          ),
        ]
      : []),
    ...(cost ? [of(right('$/1,000'), shownUsd(cost.original_usd ?? 0), costOf)] : []),
    of(left('verdict'), '', kindOf),
  ]
}

const costOf = ({ cost_per_1000: cost }: Attempt): string => {
  if (!cost) return ''
  return cost.candidate_usd === null ? '?' : shownUsd(cost.candidate_usd)
}

/** The table of all attempts, the original first; those that were not built are counted below it. */
export function attemptTable({ attempts, original }: Pick<SearchResult, 'attempts' | 'original'>, terminal: Terminal): string {
  const built = attempts.map((attempt, index) => ({ attempt, index })).filter(({ attempt }) => attempt.verdict !== 'skipped')
  const columns = columnsFor(attempts, original.size_bytes)
  const rows = built.map(({ attempt, index }) => [
    `${placeText(attempt, index)} ${attempt.name}`,
    ...columns.map(({ cell }) => cell(attempt)),
  ])
  const first = ['original', ...columns.map((each) => each.first)]
  const paint = (line: string, row: number): string => {
    const found = built[row - 1]
    return found ? terminal.paint(kindOf(found.attempt), line) : line
  }
  const lines = textTable([left('attempt'), ...columns.map(({ column }) => column)], [first, ...rows], terminal.width, paint)
  const skipped = attempts.length - built.length
  const note = skipped > 0 ? [terminal.paint('dim', `${skipped} not built; --report and --json say why`)] : []
  return `${[...lines, ...note].join('\n')}\n`
}

/** What came out, in sentences: the chosen candidate or why there is none, and the targets. */
export function outcomeText(result: SearchResult, terminal: Terminal): string {
  const { chosen, attempts, original, reason, spent_s } = result
  const write = (text: string): string => wrapped(harmless(text), terminal.width, '  ').join('\n')
  const picked = chosen ? attempts[chosen.index] : undefined
  if (!chosen || !picked)
    return `${write(result.interrupted ? 'Interrupted: nothing was written.' : `Nothing was written. ${asFlags(reason)}`)}\n`
  const settings = shownSettings(picked.settings)
  const lines = [
    `${placeText(picked, chosen.index)} ${picked.name}${settings ? ` (${settings})` : ''}: ${asFlags(picked.reason)}`,
    ...targetLines(result, picked),
    `${reason}; ${shownSeconds(spent_s)} of building and measuring.`,
    ...(picked.fidelity?.inputs === 'generated'
      ? ['Judged by generated inputs: supply rows of the real kind with --eval before you rely on it.']
      : []),
  ].map(write)
  const where =
    chosen.path === null
      ? []
      : [
          `${terminal.paint('bold', harmless(chosen.path))}  ${shownBytes(chosen.size_bytes)}, ${shownChange(original.size_bytes, chosen.size_bytes)}`,
        ]
  return `${[...lines, ...where].join('\n')}\n`
}

function targetLines({ target_size_bytes: size, target_latency_ms: ms }: SearchResult, { candidate }: Attempt): string[] {
  if (!candidate) return []
  const line = (what: string, met: boolean, got: string, wanted: string) =>
    `Target ${what} ${wanted}: ${met ? 'met' : 'not met'} with ${got}.`
  return [
    ...(size === null ? [] : [line('size', candidate.size_bytes <= size, shownBytes(candidate.size_bytes), shownBytes(size))]),
    ...(ms === null ? [] : [line('latency', candidate.p50_ms <= ms, shownMs(candidate.p50_ms), shownMs(ms))]),
  ]
}
