import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'

const fresh_ms = 3_600_000
/** Keys still count this long while their issuer cannot be reached. */
const usable_ms = 86_400_000
/** A key id we do not know asks the issuer again at most this often, so that forged tokens cannot make us flood it. */
const unknown_key_every_ms = 60_000
const failed_again_ms = 5000

const KeySet = z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional() })) })
export type KeySet = z.infer<typeof KeySet>

export interface RemoteKeys {
  /** The key a token's header names. Fails with `unavailable` when the issuer was never reached. */
  find: JWTVerifyGetKey
  all(): Promise<KeySet>
}

interface Held {
  find: JWTVerifyGetKey
  set: KeySet
  at_ms: number
}

/** An issuer's public keys (RFC 7517), kept for an hour, asked for once however many wait. `load` answers the document. */
export const remoteKeys = (issuer: string, load: () => Promise<unknown>, now: () => Date): RemoteKeys => {
  let held: Held | undefined
  let asked_ms = Number.NEGATIVE_INFINITY
  let failure: { at_ms: number; cause: unknown } | undefined
  let pending: Promise<void> | undefined
  const ask = (): Promise<void> => {
    const at_ms = now().getTime()
    asked_ms = at_ms
    pending ??= (async () => {
      try {
        const set = KeySet.parse(await load())
        held = { find: createLocalJWKSet(set), set, at_ms }
        failure = undefined
      } catch (cause) {
        failure = { at_ms, cause }
      } finally {
        pending = undefined
      }
    })()
    return pending
  }
  const current = async (): Promise<Held> => {
    const now_ms = now().getTime()
    const resting = failure !== undefined && now_ms - failure.at_ms < failed_again_ms
    if ((held === undefined || now_ms - held.at_ms >= fresh_ms) && !resting) await ask()
    if (held !== undefined && now_ms - held.at_ms < usable_ms) return held
    throw new PlatformError('unavailable', `The keys of ${issuer} cannot be read; repeat the request`, {
      retry_after_s: failed_again_ms / 1000,
      cause: failure?.cause,
    })
  }
  return {
    find: async (header, token) => {
      const known = await current()
      try {
        return await known.find(header, token)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
        if (pending === undefined && now().getTime() - asked_ms < unknown_key_every_ms) throw error
        await (pending ?? ask())
        return (await current()).find(header, token)
      }
    },
    all: async () => (await current()).set,
  }
}
