import type { Report } from './report.ts'
import { moreAdvice, shownChange, shownHours, shownSaving, shownUsd } from './report-words.ts'

const width = 72

/** How many columns of a terminal a text takes: wide scripts and emoji two, combining marks none. */
export const columnsOf = (text: string): number => {
  let columns = 0
  for (const char of text) {
    if (/\p{M}/u.test(char)) continue
    columns += /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\p{Emoji_Presentation}\uff01-\uff60\u3000-\u303f]/u.test(
      char,
    )
      ? 2
      : 1
  }
  return columns
}

/** The text in exactly so many columns, cut with `…` where it is longer. */
const cell = (text: string, columns: number): string => {
  if (columnsOf(text) <= columns) return text + ' '.repeat(columns - columnsOf(text))
  let cut = ''
  for (const char of text) {
    if (columnsOf(cut + char) > columns - 1) break
    cut += char
  }
  return `${cut}…${' '.repeat(columns - 1 - columnsOf(cut))}`
}

const right = (text: string, columns: number): string => ' '.repeat(Math.max(0, columns - columnsOf(text))) + text

/** Lines of at most 72 columns, later ones indented; a longer word stands alone. */
const wrapped = (text: string, first = '', rest = first): string[] => {
  const lines: string[] = []
  let line = first
  let is_empty = true
  for (const word of text.split(' ')) {
    if (!is_empty && columnsOf(line) + 1 + columnsOf(word) > width) {
      lines.push(line)
      line = rest
      is_empty = true
    }
    line += is_empty ? word : ` ${word}`
    is_empty = false
  }
  return [...lines, line]
}

const heading = (title: string): string[] => ['', title.toUpperCase(), '-'.repeat(width)]
const row = (label: string, amount: string, change = ''): string =>
  `${cell(label, 44)} ${right(amount, 16)} ${right(change, 10)}`.trimEnd()

/** The report as plain text of 72 columns. */
export const renderText = (report: Report): string => {
  const { total, savings } = report
  return `${[
    ...wrapped(`Cost report of ${report.organization}`),
    `${report.dates} (${report.period.time_zone})`,
    '',
    ...wrapped(`Your deployments cost ${shownUsd(total.usd)}: ${report.change}.`),
    ...deletions(report),
    ...heading('By service'),
    ...report.services.map((one) => row(one.service, shownUsd(one.usd), shownChange(one))),
    row('Total', shownUsd(total.usd), shownChange(total)),
    ...heading('By deployment'),
    ...(report.deployments.length === 0
      ? ['There was none.']
      : report.deployments.map((one) => row(one.name, shownUsd(one.usd), shownChange(one)))),
    ...unpriced(report),
    ...(report.days.length < 2 ? [] : heading('Day by day')),
    ...dayBars(report),
    ...heading('Besides, not in the total'),
    ...report.others.flatMap(({ label, usd, basis }) => [row(label, shownUsd(usd)), ...wrapped(basis, '  ')]),
    ...heading('The same work elsewhere'),
    ...report.elsewhere.flatMap(({ label, usd, savings_percentage, basis }) => [
      row(label, usd === null ? 'no price' : shownUsd(usd)),
      ...wrapped(usd === null ? basis : `${shownSaving(savings_percentage)}: ${basis}`, '  '),
    ]),
    ...heading(`The next ${report.forecast.days} days`),
    row('Forecast', shownUsd(report.forecast.usd)),
    ...wrapped(report.forecast.basis, '  '),
    ...heading('Saved by sleeping'),
    row(`This period, ${shownHours(savings.period.hours)} asleep`, shownUsd(savings.period.usd)),
    row(
      `So far${savings.since === null ? '' : ` since ${savings.since.slice(0, 10)}`}, ${shownHours(savings.so_far.hours)}`,
      shownUsd(savings.so_far.usd),
    ),
    ...savings.basis.flatMap((basis) => wrapped(`against ${basis}`, '  ')),
    ...heading('What to change'),
    ...advice(report),
    ...heading('Where the figures come from'),
    ...report.bases.flatMap(({ label, basis }) => wrapped(`${label}: ${basis}`, '', '  ')),
    '',
    '-'.repeat(width),
    ...report.footer.flatMap((line) => wrapped(line)),
  ].join('\n')}\n`
}

const deletions = ({ deletions: list }: Report): string[] =>
  list.length === 0
    ? []
    : [
        ...heading('Will be deleted'),
        ...list.flatMap(({ name, model_id, deletes_at }) =>
          wrapped(
            `${name} (${model_id}), unused, on ${deletes_at.slice(0, 10)}. Deploy it, or raise delete_after_days, to keep it.`,
            '',
            '  ',
          ),
        ),
      ]

const unpriced = ({ unpriced: list }: Report): string[] =>
  list.length === 0
    ? []
    : [
        '',
        'Requests without a price, in no figure above:',
        ...list.flatMap(({ name, reason }) => wrapped(`${name}: ${reason}`, '  ', '    ')),
      ]

const dayBars = ({ days }: Report): string[] => {
  if (days.length < 2) return []
  const most = Math.max(...days.map(({ usd }) => usd))
  return days.map(({ label, usd }) => {
    const length = most > 0 ? Math.max(usd > 0 ? 1 : 0, Math.round((usd / most) * 38)) : 0
    return `${cell(label, 17)} ${cell('#'.repeat(length), 38)} ${right(shownUsd(usd), 15)}`
  })
}

const advice = ({ advice: list, advice_left_out }: Report): string[] => [
  ...(list.length === 0 ? ['Nothing.'] : []),
  ...list.flatMap(({ about, message, impact, saves_usd_per_month, basis }) => {
    const saves = saves_usd_per_month === null ? '' : ` Saves ${shownUsd(saves_usd_per_month)} a month.`
    return [
      ...wrapped(`${impact}: ${about === null ? '' : `${about}: `}${message}.${saves}`, '* ', '  '),
      ...wrapped(basis, '    '),
    ]
  }),
  ...(advice_left_out === 0 ? [] : wrapped(moreAdvice(advice_left_out))),
]
