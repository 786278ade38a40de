import { JsonObject } from '../domain/json.ts'
import type { App } from '../ports/app.ts'

/** The keys that verify the platform's tokens, RFC 7517. */
export const publicKeys = async (app: Pick<App, 'identity'>): Promise<{ keys: JsonObject[] }> => ({
  keys: (await app.identity.publicKeys()).keys.map((key) => JsonObject.parse(key)),
})
