import { basename } from 'node:path'
import { escapeHtml as e } from '../../../layers/core/domain/report-html.ts'
import type { SearchResult } from '../../../layers/optimizers/search.ts'
import { attemptPicture } from '../attempt-picture.ts'
import { placeText, shownLatencyChange, shownScore } from '../attempt-words.ts'
import type { MeasuredOn } from '../measured-on.ts'
import { asFlags, shownBytes, shownChange, shownMs, shownSeconds, shownShare, shownUsd } from '../words.ts'
import { attemptsTable } from './attempts.ts'
import { style } from './style.ts'

/**
 * A search as one HTML document: what came out, the picture of size against latency, every attempt with its reason, what it was
 * measured on and how far the figures go. No scripts, nothing from elsewhere; every name and reason is escaped, for models are foreign.
 */
export const reportPage = (result: SearchResult, on: MeasuredOn): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${e(basename(result.original.path))}, optimised</title><style>${style}</style></head>
<body><main>
${headline(result)}
${facts(result)}
${picture(result)}
<h2>Every candidate</h2>
${result.attempts.length === 0 ? `<p class="soft">None was tried.</p>` : attemptsTable(result)}
${leftOut(result)}
<h2>What it was measured on</h2>
${measured(result, on)}
<h2>How far these figures go</h2>
<ul>${honesty(result)
  .map((line) => `<li>${e(line)}</li>`)
  .join('')}</ul>
</main></body></html>
`

const chosenOf = ({ chosen, attempts }: SearchResult) => (chosen ? attempts[chosen.index] : undefined)

function headline(result: SearchResult): string {
  const { original, chosen, reason, spent_s, interrupted } = result
  const attempt = chosenOf(result)
  const big = chosen
    ? `${shownBytes(original.size_bytes)} → ${shownBytes(chosen.size_bytes)}`
    : interrupted
      ? 'Interrupted'
      : 'Nothing was acceptable'
  const name = attempt && chosen ? `${placeText(attempt, chosen.index)} ${attempt.name}. ` : ''
  const targets =
    result.target_met === null
      ? ''
      : `<p class="${result.target_met ? 'good' : 'warn'}">${result.target_met ? 'The targets are met.' : 'The targets are not met; this comes nearest to them.'}</p>`
  return `<h1>${e(original.path)}</h1><div class="big">${e(big)}</div>${targets}<p>${e(name)}${e(asFlags(attempt?.reason ?? reason))}</p>
<p class="soft small">${e(attempt ? `${reason}. ` : '')}${e(shownSeconds(spent_s))} of building and measuring, ${result.attempts.filter(({ candidate }) => candidate).length} candidates measured.</p>`
}

const fact = (value: string, what: string): string => `<div class="fact"><b>${e(value)}</b><span>${e(what)}</span></div>`

function facts(result: SearchResult): string {
  const attempt = chosenOf(result)
  const { candidate, original, fidelity, task, cost_per_1000: cost } = attempt ?? {}
  if (!candidate || !original) return ''
  const cards = [
    fact(shownChange(original.size_bytes, candidate.size_bytes), `size, ${shownBytes(candidate.size_bytes)}`),
    fact(attempt ? shownLatencyChange(attempt) : '', `p50 latency, ${shownMs(candidate.p50_ms)}`),
    ...(task
      ? [
          fact(
            shownScore(task.metric, task.candidate.value),
            `${task.metric}, original ${shownScore(task.metric, task.original.value)}, ${task.rows} labelled rows`,
          ),
        ]
      : []),
    ...(fidelity?.top1_agreement != null && fidelity.classes_seen !== 1
      ? [fact(shownShare(fidelity.top1_agreement), 'of decisions unchanged')]
      : []),
    ...(fidelity?.sqnr_db != null ? [fact(`${fidelity.sqnr_db.toFixed(1)} dB`, 'signal to noise of the outputs')] : []),
    ...(cost?.candidate_usd != null ? [fact(shownUsd(cost.candidate_usd), `per 1,000 inferences on ${cost.target}`)] : []),
  ]
  return `<div class="facts">${cards.join('')}</div>`
}

function picture(result: SearchResult): string {
  const wide = attemptPicture(result, { width: 920, height: 500 })
  if (wide === '') return ''
  const narrow = attemptPicture(result, { width: 360, height: 400 })
  return `<h2>Size and latency</h2><div class="wide">${wide}</div><div class="narrow">${narrow}</div>
<p class="soft small">Further left is smaller, further down is faster. Times are drawn relative to the original’s of the same comparison. The line joins acceptable candidates that no other one beats in both; “on the front” below means in size, time and loss of fidelity together.</p>`
}

const leftOut = ({ left_out }: SearchResult): string =>
  left_out.length === 0
    ? ''
    : `<p class="soft small">Not asked for candidates: ${left_out.map(({ optimizer, reason }) => `${e(optimizer)} (${e(asFlags(reason))})`).join('; ')}.</p>`

function measured({ attempts, inspection, original, target, budget_s, spent_s }: SearchResult, on: MeasuredOn): string {
  const fidelity = attempts.find((attempt) => attempt.fidelity)?.fidelity
  const task = attempts.find((attempt) => attempt.task)?.task
  const cost = attempts.find((attempt) => attempt.cost_per_1000)?.cost_per_1000
  const rows: [string, string][] = [
    ['machine', `${on.cpu}, ${on.cores} cores, ${shownBytes(on.memory_bytes)} of memory, ${on.system}`],
    ['runtime', `onnxruntime ${on.onnxruntime}, ${on.threads} thread, Node ${on.node}, aideploy ${on.aideploy}`],
    [
      'model',
      `${shownBytes(original.size_bytes)}, ${(inspection.parameter_count ?? 0).toLocaleString('en')} parameters, by ${inspection.producer || 'an unknown exporter'}`,
    ],
    ['rows', fidelity ? `${fidelity.rows} ${fidelity.inputs}${task ? `, ${task.rows} of them labelled` : ''}` : 'none'],
    ['time', `${shownSeconds(spent_s)} of ${shownSeconds(budget_s)}, ended ${on.at.slice(0, 16).replace('T', ' ')} UTC`],
    ['costs', cost ? `${cost.target}: ${cost.basis}` : `${target}: not stated`],
  ]
  return `<dl>${rows.map(([name, text]) => `<dt>${e(name)}</dt><dd>${e(text)}</dd>`).join('')}</dl>`
}

function honesty({ attempts, target }: SearchResult): string[] {
  const generated = attempts.some(({ fidelity }) => fidelity?.inputs === 'generated')
  return [
    'Original and candidate were timed in turns, each in a process of its own with one thread. Changes of p50 are against the original of the same comparison; times of different comparisons say less, because a machine is not equally fast all day. Ranges beside a figure hold the true one with 95 % confidence.',
    'Inconclusive means that the range of the latency holds the line it is judged by, +3 %, so that neither faster nor slower is proven, or that fewer than 8 different rows judged: such a candidate is not published.',
    'A candidate surely slower than its original is published only with --allow-slower, or for a target size that nothing not slower was found to meet; one slower by less than 3 % only where nothing better was found.',
    ...(generated
      ? [
          'The rows were generated: they are of the right shape and type, but not of the real kind. Fidelity on real rows may differ; supply them with --eval.',
        ]
      : [
          'Rows that a candidate was fitted with are kept apart from those it is judged by where there are enough; where not, its reason says so.',
        ]),
    'SQNR is the power of the original’s outputs relative to that of the difference; 20 dB is an error of a tenth of the signal, 40 dB of a hundredth.',
    ...(target === 'this-machine'
      ? ['Latency and the choice of number formats hold for processors of this kind; measure again where it will run.']
      : [`Latency was measured here, not on ${target}.`]),
  ]
}
