import * as z from 'zod'
import { JsonValue } from './json.ts'

/** Bytes on their way, not yet a model or dataset. A form's fields are unknown while its file streams, so only parts have `announced`. */
export const PendingUpload = z.object({
  id: z.string().describe('The id of what it will become'),
  purpose: z.enum(['model', 'dataset']).default('model'),
  organization_id: z.string(),
  storage_path: z.string(),
  file_name: z.string(),
  created_at: z.string(),
  expires_at: z.string(),
  /** Set before its bytes are removed: from then on it can become nothing. */
  given_up: z.literal(true).optional(),
  /** Besides these, what the announcement said of the model or dataset. */
  announced: z
    .object({ upload_id: z.string(), size_bytes: z.number().int(), sha256: z.string().optional() })
    .catchall(JsonValue)
    .nullable(),
})
export type PendingUpload = z.infer<typeof PendingUpload>

/**
 * The base name of what a client calls its file: whatever stands before the last slash or backslash is dropped, control and
 * bidirectional characters too, leading dots as well; at most 200 characters; `otherwise` when nothing is left.
 */
export const baseName = (claimed: string, otherwise = 'model'): string => {
  const last = claimed.normalize('NFC').split(/[/\\]/).at(-1) ?? ''
  const clean = last.replace(/[\p{Cc}\p{Cf}\p{Cs}:]/gu, '').replace(/^[.\s]+/, '')
  // Not /\s+$/: it takes quadratic time, 0.3 s for a name of 16 kB blanks, on the thread that serves everybody.
  return [...clean].slice(0, 200).join('').trimEnd() || otherwise
}

/** A file name as the last segment of an artifact key, which knows fewer characters; `otherwise` when nothing is left. */
export const artifactName = (file_name: string, otherwise: string): string => {
  const safe = file_name
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[.-]+/, '')
    .slice(-100)
    .replace(/^[.-]+/, '')
  return safe || otherwise
}
