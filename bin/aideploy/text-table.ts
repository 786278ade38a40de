import { harmless } from './words.ts'

/** Columns a character takes: Chinese, Japanese and Korean ones take two. */
const charWidth = (char: string): number =>
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/.test(char) ? 2 : 1
export const displayWidth = (text: string): number => [...text].reduce((width, char) => width + charWidth(char), 0)

export interface Column {
  title: string
  align: 'left' | 'right'
  /** Left out where there is no room for all. */
  optional?: boolean
}

const pad = (text: string, width: number, align: Column['align']): string => {
  const blanks = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return align === 'left' ? text + blanks : blanks + text
}

/** What fits, with … where something was cut off. */
export const cutTo = (text: string, width: number): string => {
  if (displayWidth(text) <= width) return text
  let kept = ''
  for (const char of text) {
    if (displayWidth(kept) + charWidth(char) > width - 1) break
    kept += char
  }
  return `${kept}…`
}

/** The first column is not cut to less than this while another one can be left out. */
const LEAST_FIRST = 14

/**
 * Lines of a table at most `width` columns wide: optional columns give way, then the first one. `paint` gets each body line and its row's
 * place, after all widths are settled.
 */
export function textTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
  paint: (line: string, row: number) => string = (line) => line,
): string[] {
  const clean = rows.map((row) => row.map(harmless))
  const widths = columns.map(({ title }, at) => Math.max(displayWidth(title), ...clean.map((row) => displayWidth(row[at] ?? ''))))
  const shown = new Set(columns.keys())
  const rest = (): number => [...shown].slice(1).reduce((sum, at) => sum + (widths[at] ?? 0) + 2, 0)
  for (const [at, { optional }] of columns.entries()) if (optional && width - rest() < LEAST_FIRST) shown.delete(at)
  widths[0] = Math.max(8, Math.min(widths[0] ?? 0, width - rest()))
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, at) => ({ ...column, at }))
      .filter(({ at }) => shown.has(at))
      .map(({ align, at }) => pad(cutTo(cells[at] ?? '', widths[at] ?? 0), widths[at] ?? 0, align))
      .join('  ')
      .trimEnd()
  return [line(columns.map(({ title }) => title)), ...clean.map((row, at) => paint(line(row), at))]
}

/** Words in lines of at most `width` columns, all but the first indented. */
export function wrapped(text: string, width: number, indent = ''): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const next = line === '' ? word : `${line} ${word}`
    if (line !== '' && displayWidth((lines.length > 0 ? indent : '') + next) > width) {
      lines.push((lines.length > 0 ? indent : '') + line)
      line = word
    } else line = next
  }
  return line === '' ? lines : [...lines, (lines.length > 0 ? indent : '') + line]
}
