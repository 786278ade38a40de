import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'

/** N of OWASP's scrypt setting for 32 MiB of memory (r = 8, p = 1); stored beside the hash, so that it can be raised without breaking old ones. */
const default_n = 32_768
const hash_bytes = 32
/** 32 MiB and about 80 ms of a core each: more at once would starve everything else. */
const at_once = 2
const may_wait = 64

export const PasswordHash = z.object({
  n: z.number().int(),
  r: z.number().int(),
  p: z.number().int(),
  salt: z.string(),
  hash: z.string(),
})
export type PasswordHash = z.infer<typeof PasswordHash>

export interface PasswordHasher {
  hash(password: string): Promise<PasswordHash>
  /** Constant time; without a stored hash it takes as long and answers false. */
  matches(password: string, stored: PasswordHash | undefined): Promise<boolean>
}

/** Salted scrypt (RFC 7914), at most two at once and 64 waiting; beyond that `rate_limited`. */
export const passwordHasher = (n = default_n): PasswordHasher => {
  const cost = { n, r: 8, p: 1 }
  const turn = turnstile()
  const decoy: PasswordHash = {
    ...cost,
    salt: randomBytes(16).toString('base64url'),
    hash: randomBytes(hash_bytes).toString('base64url'),
  }
  return {
    hash: async (password) => {
      const salt = randomBytes(16)
      const hash = await turn(() => derive(password, salt, cost))
      return { ...cost, salt: salt.toString('base64url'), hash: hash.toString('base64url') }
    },
    matches: async (password, stored) => {
      const { salt, hash, ...setting } = stored ?? decoy
      const derived = await turn(() => derive(password, Buffer.from(salt, 'base64url'), setting))
      const expected = Buffer.from(hash, 'base64url')
      return derived.length === expected.length && timingSafeEqual(derived, expected) && stored !== undefined
    },
  }
}

const derive = (password: string, salt: Buffer, { n, r, p }: { n: number; r: number; p: number }): Promise<Buffer> =>
  new Promise((resolve, reject) =>
    scrypt(password.normalize('NFKC'), salt, hash_bytes, { N: n, r, p, maxmem: 256 * n * r }, (error, key) =>
      error ? reject(error) : resolve(key),
    ),
  )

const turnstile = () => {
  let running = 0
  const waiting: (() => void)[] = []
  return async <Answer>(work: () => Promise<Answer>): Promise<Answer> => {
    if (running >= at_once) {
      if (waiting.length >= may_wait) throw new PlatformError('rate_limited', 'Too many sign-ins at once', { retry_after_s: 3 })
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
