/** Figures as people read them: three digits that matter, the unit that keeps them short. */

const three = (value: number): string => {
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 99.95) return value.toFixed(0)
  return size >= 9.995 ? value.toFixed(1) : size >= 0.9995 ? value.toFixed(2) : value.toPrecision(3)
}

/** Decimal, as sizes of files are stated elsewhere: `854 kB`. */
export const shownBytes = (bytes: number): string => {
  if (bytes < 1000) return `${bytes} B`
  const [factor, unit] = bytes < 999_500 ? [1e3, 'kB'] : bytes < 999.5e6 ? [1e6, 'MB'] : ([1e9, 'GB'] as const)
  return `${three(bytes / factor)} ${unit}`
}

export const shownMs = (ms: number): string =>
  ms < 0.9995 ? `${three(ms * 1000)} µs` : ms < 9999.5 ? `${three(ms)} ms` : `${three(ms / 1000)} s`

export const shownSeconds = (seconds: number): string =>
  seconds < 99.95 ? `${seconds.toFixed(1)} s` : seconds < 5999 ? `${Math.round(seconds)} s` : `${(seconds / 3600).toFixed(1)} h`

/** `−74.6 %`: what became of the second figure. */
export const shownChange = (before: number, after: number): string => {
  if (!(before > 0)) return ''
  const percent = 100 * (after / before - 1)
  const sign = Math.abs(percent) < 0.05 ? '±' : percent < 0 ? '−' : '+'
  const size = Math.abs(percent)
  return `${sign}${size >= 99.95 ? size.toFixed(0) : size.toFixed(1)} %`
}

export const shownUsd = (usd: number): string =>
  usd === 0 ? '$0' : usd >= 0.01 ? `$${usd.toFixed(3)}` : `$${usd.toPrecision(2)}`

export const shownShare = (share: number): string => `${(share * 100).toFixed(share > 0.995 && share < 1 ? 2 : 1)} %`

/** Settings of a candidate on one line: `weight_type u8, conv dense`; what is off is not said. The shapes of generated rows are the same for all. */
export const shownSettings = (settings: Record<string, unknown>): string =>
  Object.entries(settings)
    .filter(([name, value]) => value !== undefined && value !== null && name !== 'input_shapes')
    .map(([name, value]) => {
      if (value === true) return name
      if (value === false) return ''
      return `${name} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`
    })
    .filter((text) => text !== '')
    .join(', ')

/** Text of a foreign file or person fit for a terminal: nothing in it moves the cursor, hides or reverses what follows. */
export const harmless = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '·')

/** What the search calls by the names of the platform's API, by those of the command. */
const flags: readonly (readonly [RegExp, string])[] = [
  [/\bmetadata\.allow_slower\b/g, '--allow-slower'],
  [/\bmetadata\.(precision|sparsity)\b/g, '--$1'],
  [/\bmetadata\.class_output\b/g, '--class-output'],
  [/\bmetadata\.input_shapes\b/g, '--shape'],
  [/\bmetadata\.accuracy_gate\b/g, '--gate'],
  [/\bmetadata\.(\w+)/g, '--set $1'],
  [/\btarget_size\b/g, '--target-size'],
  [/\btarget_latency\b/g, '--target-latency'],
  [/\btask\.alphabet\b/g, '--alphabet'],
  [/\bcalibration_data\b/g, '--calibrate'],
  [/\bevaluation_data\b/g, '--eval'],
  [/\ba --/g, '--'],
]
export const asFlags = (text: string): string => flags.reduce((said, [name, flag]) => said.replace(name, flag), text)
