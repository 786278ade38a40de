import { randomBytes } from 'node:crypto'
import type { Secrets } from '../core/ports/secrets.ts'

const name = 'artifacts/part-url-key'

/** The key that signs part URLs: made at the first start, kept with the secrets. */
export const signingKey = async (secrets: Secrets): Promise<string> => {
  const known = await secrets.get(name)
  if (known !== undefined) return known
  const made = randomBytes(32).toString('base64url')
  await secrets.put(name, made)
  return made
}
