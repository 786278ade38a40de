import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import type { Secrets } from '../core/ports/secrets.ts'

const secret_name = 'identity/signing-keys'
const month_ms = 30 * 86_400_000

const PrivateJwk = z.object({ kty: z.literal('EC'), crv: z.literal('P-256'), x: z.string(), y: z.string(), d: z.string() })
/** Newest first. `retired_at` is null for the one that signs. */
const StoredKeys = z
  .array(z.object({ kid: z.string(), jwk: PrivateJwk, created_at: z.string(), retired_at: z.string().nullable() }))
  .min(1)
type StoredKeys = z.infer<typeof StoredKeys>

export interface SigningKey {
  kid: string
  private_key: KeyObject
  public_key: KeyObject
  public_jwk: Record<string, unknown>
}

export interface SigningKeys {
  /** The key that signs; a new one after a month. */
  current(): Promise<SigningKey>
  /** Undefined for a key that is not ours or whose tokens have all expired. */
  find(kid: string): Promise<SigningKey | undefined>
  all(): Promise<SigningKey[]>
  rotate(): Promise<void>
}

/** P-256 keys kept in the secrets port. A retired key stays until the last token it signed has expired. */
export const signingKeys = (secrets: Secrets, now: () => Date, token_ttl_s: number): SigningKeys => {
  let loaded: Promise<StoredKeys> | undefined
  const parsed = new Map<string, SigningKey>()
  const load = (): Promise<StoredKeys> => {
    loaded ??= readOrMake(secrets, now).catch((error: unknown) => {
      loaded = undefined
      throw error
    })
    return loaded
  }
  const live = async (): Promise<StoredKeys> => {
    const oldest_ms = now().getTime() - token_ttl_s * 1000
    return (await load()).filter((key) => key.retired_at === null || Date.parse(key.retired_at) > oldest_ms)
  }
  const open = (key: StoredKeys[number]): SigningKey => {
    const known = parsed.get(key.kid) ?? signingKey(key)
    parsed.set(key.kid, known)
    return known
  }
  let turn: Promise<unknown> = Promise.resolve()
  const rotate = (only_if_older_than_ms: number): Promise<void> => {
    const next = turn.then(async () => {
      const keys = await live()
      if (now().getTime() - Date.parse(keys[0]?.created_at ?? '') < only_if_older_than_ms) return
      const retired_at = now().toISOString()
      const rotated = [newKey(now), ...keys.map((key) => ({ ...key, retired_at: key.retired_at ?? retired_at }))]
      await secrets.put(secret_name, JSON.stringify(rotated))
      loaded = Promise.resolve(rotated)
    })
    turn = next.catch(() => undefined)
    return next
  }
  const newest = async (): Promise<StoredKeys[number]> => {
    const [key] = await load()
    if (!key) throw new PlatformError('internal', 'There is no signing key')
    return key
  }
  return {
    current: async () => {
      if (now().getTime() - Date.parse((await newest()).created_at) >= month_ms) await rotate(month_ms)
      return open(await newest())
    },
    find: async (kid) => {
      const key = (await live()).find((candidate) => candidate.kid === kid)
      return key && open(key)
    },
    all: async () => (await live()).map(open),
    rotate: () => rotate(0),
  }
}

const readOrMake = async (secrets: Secrets, now: () => Date): Promise<StoredKeys> => {
  const stored = await secrets.get(secret_name)
  if (stored !== undefined) return StoredKeys.parse(JSON.parse(stored))
  const keys = [newKey(now)]
  await secrets.put(secret_name, JSON.stringify(keys))
  return keys
}

const newKey = (now: () => Date): StoredKeys[number] => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    kid: randomBytes(12).toString('base64url'),
    jwk: PrivateJwk.parse(privateKey.export({ format: 'jwk' })),
    created_at: now().toISOString(),
    retired_at: null,
  }
}

const signingKey = ({ kid, jwk }: StoredKeys[number]): SigningKey => {
  const private_key = createPrivateKey({ key: jwk, format: 'jwk' })
  const { kty, crv, x, y } = jwk
  return {
    kid,
    private_key,
    public_key: createPublicKey(private_key),
    public_jwk: { kty, crv, x, y, kid, alg: 'ES256', use: 'sig' },
  }
}
