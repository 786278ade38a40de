import type { NanoUsd } from './money.ts'
import type { Report } from './report.ts'

const columns = ['date', 'deployment_id', 'deployment_name', 'deployment_type', 'service', 'cost_usd', 'note'] as const

/** What a spreadsheet would run as a formula is prefixed by an apostrophe; full-width forms count too. */
const guarded = (text: string): string => (/^\s*[=+\-@\t\r＝＋－＠]/u.test(text) ? `'${text}` : text)

const quoted = (text: string): string => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

/** Nine decimals, exact: `0.000123450`. */
const decimal = (nano: NanoUsd): string => {
  const digits = nano.toString().padStart(10, '0')
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`
}

/** RFC 4180: one line per deployment, service and day; the lines sum to the report's total. */
export const renderCsv = ({ lines }: Pick<Report, 'lines'>): string =>
  [
    columns.join(','),
    ...lines.map(({ date, deployment_id, name, deployment_type, service, cost, note }) =>
      [date, guarded(deployment_id), guarded(name), guarded(deployment_type), service, decimal(cost), guarded(note)]
        .map(quoted)
        .join(','),
    ),
  ]
    .map((line) => `${line}\r\n`)
    .join('')
