import type { Latency } from './job.ts'

/** How the figures of the demo are written. */

export const ms = (value: number | undefined): string => (value === undefined ? '–' : `${value.toFixed(1)} ms`)
export const both = (times: Latency | undefined): string =>
  times === undefined ? '–' : `${times.p50_ms.toFixed(1)} / ${times.p95_ms.toFixed(1)} ms`
export const percent = (share: number | undefined): string => `${(100 * (share ?? Number.NaN)).toFixed(0)} %`
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`
export const usd = (value: number | undefined): string => (value === undefined ? '–' : `$${value.toFixed(6)}`)

/** From `before` to `after`, e.g. `−62.0 %`; fewer is always better here. */
export const change = (before: number | undefined, after: number | undefined): string => {
  if (!before || !after) return ''
  const percent = (100 * Math.abs(1 - after / before)).toFixed(1)
  return `${percent === '0.0' ? '±' : after < before ? '−' : '+'}${percent} %`
}

/** Rows of cells in columns: the first to the left, the others to the right. */
export const table = (rows: readonly string[][]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('   ')
  return rows.map((row) => `  ${line(row)}`.trimEnd()).join('\n')
}
