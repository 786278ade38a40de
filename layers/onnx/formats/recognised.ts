import type { FileInspection, Framework } from '../inspect/inspection.ts'

/** What a file's content shows. `framework` is null where several use the format (safetensors). */
export interface Recognised {
  format: string
  framework: Framework | null
  /** What the format tells without running anything; empty for ONNX, which has a reader of its own. */
  details: Omit<FileInspection, 'format'>
}

/** A list of names for a note, cut where it gets long. */
export const nameSome = (names: readonly string[], most = 12): string => {
  const shown = names.slice(0, most).map((name) => (name.length > 120 ? `${name.slice(0, 120)}…` : name))
  return names.length > most ? `${shown.join(', ')} and ${names.length - most} more` : shown.join(', ')
}

/** Counts how often each name occurs, most frequent first. */
export const countNames = (names: Iterable<string>): Record<string, number> => {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]))
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
