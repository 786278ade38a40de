import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Identity, UserIdentity } from '../../layers/core/ports/identity.ts'
import { failure } from '../support/records.ts'
import { tokenTests } from './identity-tokens.ts'

/** An identity under test. */
export interface IdentityStand {
  identity: Identity
  /** Another platform's identity, with the same keys where that can be had. */
  stranger(): Promise<Identity>
  advance(seconds: number): void
  close(): Promise<void> | void
}

export interface Difference {
  reason: string
  tests: string[]
}

export type Tests = Record<string, (stand: IdentityStand) => Promise<void>>

export const password = 'a long enough one'
const other_password = 'quite another one'
const source_ip = '192.0.2.10'

export const newUser = (username = `user-${randomUUID()}`): UserIdentity => ({
  user_id: `usr_${randomUUID()}`,
  username,
  organization_id: 'org_1',
})

export const enrolled = async ({ identity }: IdentityStand, username?: string): Promise<UserIdentity> => {
  const user = newUser(username)
  await identity.enrol(user, password)
  return user
}

export const signIn = async ({ identity }: IdentityStand, { username }: { username: string }, with_password = password) =>
  (await identity.signIn({ username, password: with_password, source_ip })).token

const signInTests: Tests = {
  'issues tokens that stand for the user and say when they end': async (stand) => {
    const user = newUser('Ada')
    const { epoch } = await stand.identity.enrol(user, password)
    const issued = await stand.identity.signIn({ username: 'Ada', password, source_ip })
    const claims = await stand.identity.verify(issued.token)
    expect(claims).toEqual({ ...user, epoch, expires_at: issued.expires_at })
    expect(new Date(issued.expires_at).toISOString()).toBe(issued.expires_at)
  },

  'refuses a wrong password and an unknown user alike': async (stand) => {
    const user = await enrolled(stand)
    const messages = new Set<string>()
    for (const username of [user.username, 'nobody', 'x'.repeat(1024), '', 'user:nobody', user.user_id, `user:${user.user_id}`]) {
      const error = await failure('unauthenticated', stand.identity.signIn({ username, password: 'wrong', source_ip }))
      messages.add(JSON.stringify([error.message, error.extras.facts]))
    }
    expect(messages.size).toBe(1)
  },

  'knows a name in any case and Unicode form': async (stand) => {
    await enrolled(stand, 'Bo.Ünal@x')
    for (const username of ['bo.ünal@x', 'BO.ÜNAL@X', 'bo.u\u0308nal@x', 'ｂｏ.ünal@x'])
      expect(await signIn(stand, { username })).toBeTruthy()
  },

  'takes every password the platform takes': async (stand) => {
    const user = await enrolled(stand)
    const passwords = [' blanks at the ends ', 'x'.repeat(1024), '0123456789', '🗝️🗝️🗝️🗝️🗝️', 'line\nbreak in it', 'Schlüssel und so']
    for (const text of passwords) {
      await stand.identity.setPassword(user, text)
      expect(await signIn(stand, user, text)).toBeTruthy()
      expect(await stand.identity.checkPassword(user.username, `${text}x`)).toBe(false)
    }
    expect(await signIn(stand, user, 'Schlu\u0308ssel und so')).toBeTruthy()
  },

  'slows a name down, says for how long, and not for ever': async (stand) => {
    const user = await enrolled(stand)
    const wrong = () => stand.identity.signIn({ username: user.username, password: 'wrong', source_ip })
    let refused = 0
    while (refused < 30) {
      const error = await wrong().catch((thrown: unknown) => thrown)
      if (Object(error).code === 'rate_limited') break
      expect(error).toMatchObject({ code: 'unauthenticated' })
      refused += 1
    }
    expect(refused).toBeLessThan(30)
    const { extras } = await failure('rate_limited', signIn(stand, user))
    expect(extras.retry_after_s).toBeGreaterThan(0)
    await failure('rate_limited', stand.identity.checkPassword(user.username, password))
    stand.advance(extras.retry_after_s ?? 0)
    expect(await signIn(stand, user)).toBeTruthy()
  },

  'slows an unknown name down like a known one, and a burst too': async (stand) => {
    const user = await enrolled(stand)
    const burst = async (username: string) => {
      const tries = Array.from({ length: 20 }, () =>
        stand.identity.signIn({ username, password: 'wrong', source_ip: '192.0.2.77' }),
      )
      const outcomes = await Promise.allSettled(tries)
      return outcomes.map((each) => (each.status === 'rejected' ? String(each.reason.code) : 'signed in')).sort()
    }
    const known = await burst(user.username)
    expect(known).toContain('rate_limited')
    expect(await burst('nobody-at-all')).toEqual(known)
  },

  'says nothing of a password in any failure': async (stand) => {
    const user = await enrolled(stand)
    const secret = 'canary-5d0c1b7e'
    const failures = [
      () => stand.identity.signIn({ username: user.username, password: secret, source_ip }),
      () => stand.identity.signIn({ username: 'nobody', password: secret, source_ip }),
      () => stand.identity.setPassword(newUser(), secret),
    ]
    for (const attempt of failures) {
      const error = await attempt().then(
        () => expect.fail('was meant to fail'),
        (thrown: unknown) => thrown,
      )
      for (let at: unknown = error; at instanceof Error; at = at.cause)
        expect(JSON.stringify(at, Object.getOwnPropertyNames(at))).not.toContain(secret)
    }
  },
}

const changeTests: Tests = {
  'ends every token with a changed password, at once': async (stand) => {
    const user = await enrolled(stand)
    const before = await signIn(stand, user)
    const { epoch } = await stand.identity.setPassword(user, other_password)
    await failure('unauthenticated', stand.identity.verify(before))
    await failure('unauthenticated', signIn(stand, user))
    const after = await signIn(stand, user, other_password)
    expect(await stand.identity.verify(after)).toMatchObject({ user_id: user.user_id, epoch })
    await failure('unauthenticated', stand.identity.verify(before))
  },

  'ends everything with a forgotten user, at once, and forgets twice': async (stand) => {
    const user = await enrolled(stand)
    const token = await signIn(stand, user)
    await stand.identity.forget(user)
    await failure('unauthenticated', stand.identity.verify(token))
    await failure('unauthenticated', signIn(stand, user))
    expect(await stand.identity.checkPassword(user.username, password)).toBe(false)
    await stand.identity.forget(user)
    await failure('not_found', stand.identity.setPassword(user, other_password))
  },

  'replaces what another user of the name left behind': async (stand) => {
    const left = await enrolled(stand, 'Cy')
    const old_token = await signIn(stand, left)
    const next = newUser('cy')
    await stand.identity.enrol(next, other_password)
    await failure('unauthenticated', stand.identity.verify(old_token))
    await failure('unauthenticated', signIn(stand, next))
    const token = await signIn(stand, next, other_password)
    expect(await stand.identity.verify(token)).toMatchObject({ user_id: next.user_id, username: 'cy' })
    // Who held the name before is nobody's concern any more.
    await stand.identity.forget(left)
    await failure('not_found', stand.identity.setPassword(left, password))
    expect(await stand.identity.verify(token)).toMatchObject({ user_id: next.user_id })
    expect(await stand.identity.checkPassword('CY', other_password)).toBe(true)
  },

  'enrols the same user again after an attempt that broke off': async (stand) => {
    const user = await enrolled(stand)
    const token = await signIn(stand, user)
    await stand.identity.enrol(user, other_password)
    await failure('unauthenticated', stand.identity.verify(token))
    expect(await signIn(stand, user, other_password)).toBeTruthy()
  },

  'keeps users apart whose names differ in a sign': async (stand) => {
    const one = await enrolled(stand, 'di.1')
    const two = newUser('di-1')
    await stand.identity.enrol(two, other_password)
    await failure('unauthenticated', signIn(stand, one, other_password))
    await failure('unauthenticated', signIn(stand, two))
    await stand.identity.forget(one)
    expect(await signIn(stand, two, other_password)).toBeTruthy()
  },

  'ends with one password when several are set at once': async (stand) => {
    const user = await enrolled(stand)
    const passwords = ['the first of them', 'the second of them', 'the third of them']
    const set = await Promise.allSettled(passwords.map((text) => stand.identity.setPassword(user, text)))
    expect(set.some(({ status }) => status === 'fulfilled')).toBe(true)
    const right: string[] = []
    for (const text of [...passwords, password]) if (await stand.identity.checkPassword(user.username, text)) right.push(text)
    expect(right).toHaveLength(1)
    expect(set[passwords.indexOf(right[0] ?? '')]?.status).toBe('fulfilled')
    const token = await signIn(stand, user, right[0])
    expect(await stand.identity.verify(token)).toMatchObject({ user_id: user.user_id })
  },

  'lets many sign in at once': async (stand) => {
    const users = await Promise.all(Array.from({ length: 5 }, () => enrolled(stand)))
    const tokens = await Promise.all(users.map((user) => signIn(stand, user)))
    const claims = await Promise.all(tokens.map((token) => stand.identity.verify(token)))
    expect(claims.map(({ user_id }) => user_id)).toEqual(users.map(({ user_id }) => user_id))
  },
}

/** The suite every implementation of the identity port passes; `differences` names what an emulator cannot do, with why. */
export const identityContract = (
  name: string,
  prepare: () => Promise<{ open(): Promise<IdentityStand>; close(): Promise<void> | void }>,
  differences: Difference[] = [],
): void => {
  describe(`identity: ${name}`, () => {
    let prepared: Awaited<ReturnType<typeof prepare>>
    let stand: IdentityStand
    beforeAll(async () => {
      prepared = await prepare()
    })
    afterAll(() => prepared.close())
    beforeEach(async () => {
      stand = await prepared.open()
    })
    afterEach(() => stand.close())
    for (const [title, test] of Object.entries({ ...signInTests, ...changeTests, ...tokenTests })) {
      const difference = differences.find(({ tests }) => tests.includes(title))
      if (difference) it.fails(`${title} (${difference.reason})`, () => test(stand))
      else it(title, () => test(stand))
    }
  })
}
