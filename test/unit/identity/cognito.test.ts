import { CognitoIdentityProviderClient } from '@aws-sdk/client-cognito-identity-provider'
import { describe, expect, it, onTestFinished } from 'vitest'
import { cognitoIdentity } from '../../../layers/identity/cognito.ts'
import { cognitoTokens } from '../../../layers/identity/cognito-tokens.ts'
import { heldPassword } from '../../../layers/identity/cognito-users.ts'
import { sqliteRecords } from '../../../layers/records/sqlite.ts'
import { ServiceError } from '../../support/aws-json-server.ts'
import { startCognito } from '../../support/cognito-server.ts'
import { scratchFolder, tickingClock } from '../../support/identity.ts'
import { failure } from '../../support/records.ts'

const password = 'a long enough one'
const source_ip = '192.0.2.1'
const bo = { user_id: 'usr_1', username: 'Bo', organization_id: 'org_1' }

const house = async () => {
  const { now, advance } = tickingClock()
  const server = await startCognito(now)
  const records = sqliteRecords({ path: `${scratchFolder()}/records.sqlite`, now })
  const client = new CognitoIdentityProviderClient({
    endpoint: server.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
    requestHandler: { requestTimeout: 200, throwOnRequestTimeout: true },
  })
  onTestFinished(async () => {
    client.destroy()
    records.close()
    await server.stop()
  })
  const make = (more: object = {}) => cognitoIdentity({ ...server.pool, client: () => client, records, now, ...more })
  const identity = make()
  const signIn = (with_password = password, from = identity) =>
    from.signIn({ username: 'bo', password: with_password, source_ip })
  return { server, records, identity, make, signIn, now, advance }
}

/** Fails the `nth` write, before or after it was done. */
const failingWrite = (records: ReturnType<typeof sqliteRecords>, nth: number) => {
  let count = 0
  const write: typeof records.write = (operations) => {
    count += 1
    return count === nth ? Promise.reject(new Error('killed')) : records.write(operations)
  }
  return { ...records, write }
}

describe('passwords at Cognito', () => {
  it('go as they are where the pool can hold them, else as a digest that it can', () => {
    for (const text of ['correct horse battery', 'x'.repeat(256), '123456']) expect(heldPassword(text)).toBe(text)
    for (const text of ['x'.repeat(257), ' blank first', 'blank last ', 'ünïcode enough', 'tab\tinside', 'short', ''])
      expect(heldPassword(text)).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(heldPassword('Schlüssel und so')).toBe(heldPassword('Schlu\u0308ssel und so'))
    expect(heldPassword('x'.repeat(257))).not.toBe(heldPassword('x'.repeat(258)))
  })
})

describe('users at Cognito', () => {
  it('are known by id, with a name that nobody’s alias can be', async () => {
    const { identity, server } = await house()
    await identity.enrol(bo, password)
    expect([...server.users.keys()]).toEqual(['user:usr_1'])
    expect(server.users.get('user:usr_1')?.attributes).toMatchObject({
      preferred_username: 'Bo',
      'custom:user_id': 'usr_1',
      'custom:organization_id': 'org_1',
    })
    await identity.enrol({ ...bo, user_id: 'usr_2', username: 'usr_1' }, 'another password')
    expect((await identity.verify((await identity.signIn({ username: 'bo', password, source_ip })).token)).user_id).toBe('usr_1')
  })

  it('are whole or replaced when their making broke off anywhere', async () => {
    for (const broken of ['AdminCreateUser', 'AdminSetUserPassword', 'AdminUpdateUserAttributes']) {
      const { identity, server, signIn } = await house()
      server.misbehave(broken, 'fail')
      await failure('unavailable', identity.enrol(bo, password))
      await failure('unauthenticated', signIn('a password nobody has'))
      await identity.enrol({ ...bo, user_id: 'usr_2' }, password)
      expect([...server.users.keys()]).toEqual(['user:usr_2'])
      expect(await identity.verify((await signIn()).token)).toMatchObject({ user_id: 'usr_2' })
    }
  })

  it('leave nothing behind', async () => {
    const { identity, server, records } = await house()
    await identity.enrol(bo, password)
    server.misbehave('AdminDeleteUser', 'fail')
    await failure('unavailable', identity.forget(bo))
    await identity.forget(bo)
    expect(server.users.size).toBe(0)
    expect(records.changes(0, 100).at(-1)?.kind).toBe('remove')
  })

  it('keep a changed password although the change died before its last write', async () => {
    const { identity, make, records, signIn } = await house()
    await identity.enrol(bo, password)
    const before = (await signIn()).token
    const dying = make({ records: failingWrite(records, 1) })
    await expect(dying.setPassword(bo, 'the new password')).rejects.toThrow('killed')
    await failure('unauthenticated', signIn())
    const after = (await signIn('the new password')).token
    expect(await identity.verify(after)).toMatchObject({ user_id: 'usr_1' })
    await failure('unauthenticated', identity.verify(before))
  })
})

describe('what Cognito answers', () => {
  it('is busy: wait, and nobody learns more', async () => {
    const { identity, server, signIn } = await house()
    await identity.enrol(bo, password)
    for (const type of ['TooManyRequestsException', 'LimitExceededException']) {
      server.refuse('AdminInitiateAuth', new ServiceError(type, 'Rate exceeded'))
      expect((await failure('rate_limited', signIn())).extras.retry_after_s).toBeGreaterThan(0)
    }
    for (const how of ['fail', 'hang', 'lose'] as const) {
      server.misbehave('AdminInitiateAuth', how)
      await failure('unavailable', signIn())
    }
    server.refuse('AdminInitiateAuth', new ServiceError('ResourceNotFoundException', 'User pool client does not exist.'))
    await failure('internal', signIn())
  })

  it('a lock that other processes’ failures brought about', async () => {
    const { identity, make, signIn } = await house()
    await identity.enrol(bo, password)
    for (let process = 0; process < 6; process += 1) await signIn('wrong', make()).catch(() => undefined)
    const { extras } = await failure('rate_limited', signIn(password, make()))
    expect(extras.retry_after_s).toBeGreaterThan(0)
    await failure('rate_limited', make().checkPassword('bo', password))
  })

  it('a reset by an administrator, told as a wrong password', async () => {
    const { identity, server, signIn } = await house()
    await identity.enrol(bo, password)
    const wrong = await failure('unauthenticated', signIn('wrong'))
    Object.assign(server.users.get('user:usr_1') ?? {}, { status: 'RESET_REQUIRED' })
    expect((await failure('unauthenticated', signIn())).message).toBe(wrong.message)
  })

  it('a second factor, which this sign-in cannot ask for', async () => {
    const { identity, server, signIn } = await house()
    await identity.enrol(bo, password)
    Object.assign(server.users.get('user:usr_1') ?? {}, { second_factor: true })
    expect((await failure('unauthenticated', signIn())).message).toContain('second factor')
    expect(await identity.checkPassword('bo', password)).toBe(true)
    expect(await identity.checkPassword('bo', 'wrong')).toBe(false)
  })

  it('a name that somebody made by hand in the pool has', async () => {
    const { identity, server } = await house()
    await identity.enrol({ ...bo, user_id: 'usr_9' }, password)
    const byHand = server.users.get('user:usr_9')
    await identity.forget({ ...bo, user_id: 'usr_9' })
    if (byHand) server.users.set('by-hand', byHand)
    await failure('conflict', identity.enrol(bo, password))
  })
})

describe('the keys of the pool', () => {
  it('are read once for many, and a new one when a token names it', async () => {
    const { identity, server, signIn } = await house()
    await identity.enrol(bo, password)
    const tokens = await Promise.all(Array.from({ length: 4 }, () => signIn()))
    const readers = () => server.site.reads.get('/jwks.json')
    await Promise.all(tokens.map(({ token }) => identity.verify(token)))
    expect(readers()).toBe(1)
  })

  it('are asked for once a minute at most, whatever tokens say', async () => {
    const { identity, server, signIn, advance } = await house()
    await identity.enrol(bo, password)
    const old = (await signIn()).token
    advance(61)
    server.rotate()
    const { token } = await signIn()
    expect(await identity.verify(token)).toMatchObject({ user_id: 'usr_1' })
    expect(server.site.reads.get('/jwks.json')).toBe(2)
    const [, payload = '', signature = ''] = old.split('.')
    for (let at = 0; at < 20; at += 1) {
      const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid: `unknown-${at}` })).toString('base64url')
      await failure('unauthenticated', identity.verify(`${header}.${payload}.${signature}`))
    }
    expect(server.site.reads.get('/jwks.json')).toBe(2)
  })

  it('still count while they cannot be read again, and for a day', async () => {
    const { identity, server, signIn, advance, make } = await house()
    await identity.enrol(bo, password)
    await signIn()
    server.site.pages.delete('/jwks.json')
    advance(3601)
    expect(await identity.verify((await signIn()).token)).toMatchObject({ user_id: 'usr_1' })
    await failure('unavailable', signIn(password, make()))
    advance(86_400)
    await failure('unavailable', signIn())
  })

  it('prove no access token', async () => {
    const { identity, server, now } = await house()
    await identity.enrol(bo, password)
    const token = await server.accessToken('user:usr_1')
    await failure('unauthenticated', identity.verify(token))
    await failure('unauthenticated', cognitoTokens({ ...server.pool, client_id: 'another client' }, now).read(token))
  })
})
