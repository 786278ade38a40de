import * as z from 'zod'
import { PlatformError } from '../contract/errors.ts'

/** Where a page ended, and for which list it was made. */
const Token = z.object({ list: z.string(), after: z.string() })

/** Opaque to callers; holds nothing they may not know, so it is not signed and its position is checked when it comes back. `list` names the list and its filter. */
export const pageToken = (list: string, after: string): string =>
  Buffer.from(JSON.stringify({ list, after } satisfies z.infer<typeof Token>)).toString('base64url')

/**
 * The sort key after which the next page begins. Fails with `invalid_request` for what is no token, or one of another list or filter;
 * a position that does not begin with the list's `prefix` would lead out of it.
 */
export const readPageToken = (
  token: string,
  { list, prefix }: { list: string; prefix: string },
  parameter: 'after' | 'page_token',
): string => {
  const refuse = (detail: string): PlatformError =>
    new PlatformError('invalid_request', `${parameter} ${detail}`, { errors: [{ pointer: `query/${parameter}`, detail }] })
  const parsed = Token.safeParse(decoded(token))
  if (!parsed.success || !parsed.data.after.startsWith(prefix)) throw refuse('is not a token that a list has answered')
  if (parsed.data.list !== list)
    throw refuse('belongs to another list or filter; wanted the same parameters as for the page before')
  return parsed.data.after
}

const decoded = (token: string): unknown => {
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
}
