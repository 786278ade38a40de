import type { SearchProgress } from '../../layers/optimizers/search.ts'
import { kindOf, shownFidelity, shownLatencyChange } from './attempt-words.ts'
import type { Terminal } from './terminal.ts'
import { cutTo } from './text-table.ts'
import { asFlags, harmless, shownBytes, shownSettings } from './words.ts'

const REDRAW_MS = 200
const clear = '\r\x1b[2K'

/** One line for each candidate on standard error; on a terminal, below them, what is being done and for how long. */
export function drawProgress(terminal: Terminal): { show(progress: SearchProgress): void; stop(): void } {
  let doing: { text: string; spent_s: number; budget_s: number; since: number } | undefined
  const draw = () => {
    if (!terminal.live || !doing) return
    const { text, spent_s, budget_s, since } = doing
    const now_s = spent_s + (performance.now() - since) / 1000
    const line = `${clock(now_s, budget_s)}  ${text} …`
    terminal.err(clear + terminal.paint('dim', cutTo(line, terminal.live_width - 1), 'err'))
  }
  const timer = setInterval(draw, REDRAW_MS)
  timer.unref()
  const line = (text: string) => terminal.err(`${terminal.live ? clear : ''}${text}\n`)
  return {
    show(progress) {
      if (progress.kind === 'planned') return line(plannedText(progress))
      if (progress.kind === 'tried') return line(triedLine(progress, terminal))
      const { kind, name, settings, spent_s, budget_s } = progress
      const since = doing !== undefined && doing.spent_s === spent_s ? doing.since : performance.now()
      doing = { text: harmless(`${kind} ${name} (${shownSettings(settings)})`), spent_s, budget_s, since }
      draw()
    },
    stop() {
      clearInterval(timer)
      if (terminal.live) terminal.err(clear)
    },
  }
}

/** `  4.1/60 s`: used and to be had, of building and measuring. */
const clock = (spent_s: number, budget_s: number): string => `${spent_s.toFixed(1).padStart(5)}/${Math.round(budget_s)} s`

const plannedText = ({ plan, budget_s }: Extract<SearchProgress, { kind: 'planned' }>): string => {
  const methods = [...new Set(plan.plan.map(({ optimizer }) => optimizer))]
  const left_out = plan.left_out
    .map(({ optimizer, reason }) => `\n  not tried: ${optimizer}: ${harmless(asFlags(reason))}`)
    .join('')
  return `${plan.plan.length} candidates known (${methods.join(', ') || 'none'}), ${Math.round(budget_s)} s to find the best${left_out}`
}

function triedLine(
  { place, attempt, spent_s, budget_s }: Extract<SearchProgress, { kind: 'tried' }>,
  terminal: Terminal,
): string {
  const kind = kindOf(attempt)
  const { original, candidate } = attempt
  const figures =
    original && candidate
      ? [shownBytes(candidate.size_bytes), `p50 ${shownLatencyChange(attempt)}`, shownFidelity(attempt)].join(', ')
      : harmless(asFlags(attempt.reason))
  const name = `#${place + 1} ${attempt.name}${attempt.base === undefined ? '' : ` on #${attempt.base + 1}`}`
  const again = attempt.confirmed ? ' once more' : ''
  const text = `${clock(spent_s, budget_s)}  ${name}${again}: ${figures}`
  const width = Math.max(40, terminal.live_width - 14)
  return `${cutTo(text, width)}  ${terminal.paint(kind, kind, 'err')}`
}
