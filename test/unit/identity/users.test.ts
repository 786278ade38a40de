import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import type { Principal } from '../../../layers/core/domain/principal.ts'
import { changePassword } from '../../../layers/core/usecases/change-password.ts'
import { createApiKey } from '../../../layers/core/usecases/create-api-key.ts'
import { createOrganization } from '../../../layers/core/usecases/create-organization.ts'
import { createUser } from '../../../layers/core/usecases/create-user.ts'
import { deleteUser } from '../../../layers/core/usecases/delete-user.ts'
import { ensureFirstAdmin } from '../../../layers/core/usecases/ensure-first-admin.ts'
import { issueToken } from '../../../layers/core/usecases/issue-token.ts'
import { listApiKeys } from '../../../layers/core/usecases/list-api-keys.ts'
import { listOrganizations } from '../../../layers/core/usecases/list-organizations.ts'
import { listUsers } from '../../../layers/core/usecases/list-users.ts'
import { getOrganization } from '../../../layers/core/usecases/organization-records.ts'
import { revokeApiKey } from '../../../layers/core/usecases/revoke-api-key.ts'
import { updateUser } from '../../../layers/core/usecases/update-user.ts'
import { embeddedIdentity } from '../../../layers/identity/embedded.ts'
import { sqliteRecords } from '../../../layers/records/sqlite.ts'
import { admin_password, identityHouse, issuer, scratchFolder, source_ip } from '../../support/identity.ts'
import { failure } from '../../support/records.ts'

const password = 'a long enough one'
const codes = (settled: PromiseSettledResult<unknown>[]) =>
  settled.map((each) => (each.status === 'fulfilled' ? 'done' : each.reason.code)).sort()

describe('the first admin', () => {
  it('is made once, with the given password', async () => {
    const { app, admin } = await identityHouse()
    expect(await ensureFirstAdmin(app, 'later password')).toEqual({ created: false })
    await failure('unauthenticated', issueToken(app, { username: 'admin', password: 'later password', source_ip }))
    expect(await listOrganizations(app, admin)).toMatchObject([{ name: 'default', operator: true, admins: 1 }])
  })

  it('gets a made password where none is given, which works', async () => {
    const { app, advance } = await identityHouse()
    const records = sqliteRecords({ path: join(scratchFolder(), 'records.sqlite'), now: app.now })
    onTestFinished(() => records.close())
    const fresh = { ...app, records, identity: embeddedIdentity({ ...app, records, issuer }) }
    const { created, generated_password = '' } = await ensureFirstAdmin(fresh)
    expect(created).toBe(true)
    expect(generated_password).toMatch(/^[A-Za-z0-9_-]{24}$/)
    advance(1)
    expect(await issueToken(fresh, { username: 'admin', password: generated_password, source_ip })).toBeTruthy()
    expect(await ensureFirstAdmin(fresh)).toEqual({ created: false })
  })
})

describe('users', () => {
  it('have names that are theirs over the platform, in every spelling', async () => {
    const { app, admin } = await identityHouse()
    const { admin: other } = await createOrganization(app, admin, { name: 'Other', admin: { username: 'Ada', password } })
    const theirs: Principal = { kind: 'user', name: 'Ada', ...other }
    for (const username of ['ada', 'ADA', 'Ａda'])
      await failure('conflict', createUser(app, admin, { username, password, role: 'viewer' }))
    await failure('conflict', createOrganization(app, admin, { name: 'Third', admin: { username: 'ada', password } }))
    await failure('conflict', createUser(app, theirs, { username: 'Admin', password, role: 'viewer' }))
    expect(await listOrganizations(app, admin)).toHaveLength(2)
    expect(await listOrganizations(app, theirs)).toMatchObject([{ name: 'Other' }])
    expect((await listUsers(app, admin)).map(({ username }) => username)).toEqual(['admin'])
    expect(await issueToken(app, { username: 'ada', password, source_ip })).toBeTruthy()
    expect(await issueToken(app, { username: 'admin', password: admin_password, source_ip })).toBeTruthy()
  })

  it('can sign in although somebody tried while they were being made', async () => {
    const { app, admin, advance } = await identityHouse()
    const enrol: typeof app.identity.enrol = async (user, secret) => {
      const enrolled = await app.identity.enrol(user, secret)
      await failure('unauthenticated', issueToken(app, { username: 'bo', password, source_ip }))
      return enrolled
    }
    await createUser({ ...app, identity: { ...app.identity, enrol } }, admin, { username: 'bo', password, role: 'viewer' })
    advance(1)
    expect(await issueToken(app, { username: 'bo', password, source_ip })).toBeTruthy()
  })

  it('stay whole when they were made but the answer to the last write was lost', async () => {
    const { app, admin, advance } = await identityHouse()
    const write: typeof app.records.write = async (operations) => {
      const versions = await app.records.write(operations)
      if (operations.length > 1) throw new PlatformError('unavailable', 'the answer was lost')
      return versions
    }
    await failure(
      'unavailable',
      createUser({ ...app, records: { ...app.records, write } }, admin, { username: 'bo', password, role: 'viewer' }),
    )
    advance(1)
    expect((await listUsers(app, admin)).map(({ username }) => username)).toContain('bo')
    expect(await issueToken(app, { username: 'bo', password, source_ip })).toBeTruthy()
  })

  it('are made whole or not at all: a name whose making broke off is free again', async () => {
    const { app, admin, advance, signIn } = await identityHouse()
    const dying = { ...app, identity: { ...app.identity, enrol: () => new Promise<{ epoch: string }>(() => {}) } }
    void createUser(dying, admin, { username: 'bo', password, role: 'viewer' })
    await failure('conflict', createUser(app, admin, { username: 'bo', password, role: 'viewer' }))
    advance(601)
    await createUser(app, admin, { username: 'bo', password, role: 'viewer' })
    expect(await signIn('bo', password)).toBeTruthy()
    const failing = { ...app, identity: { ...app.identity, enrol: () => Promise.reject(new Error('no')) } }
    await expect(createUser(failing, admin, { username: 'cy', password, role: 'admin' })).rejects.toThrow('no')
    await createUser(app, admin, { username: 'cy', password, role: 'viewer' })
    expect((await getOrganization(app, admin.organization_id)).body.admins).toBe(1)
  })

  it('of one name made at once are one', async () => {
    const { app, admin } = await identityHouse()
    const made = await Promise.allSettled(
      [1, 2, 3].map(() => createUser(app, admin, { username: 'bo', password, role: 'admin' })),
    )
    expect(codes(made)).toEqual(['conflict', 'conflict', 'done'])
    expect(await listUsers(app, admin)).toHaveLength(2)
    expect((await getOrganization(app, admin.organization_id)).body.admins).toBe(2)
  })

  it('lose what they lost at once: role, password, account', async () => {
    const { app, admin, whoIs, signIn } = await identityHouse()
    const user = await createUser(app, admin, { username: 'bo', password, role: 'editor' })
    const token = await signIn('bo', password)
    expect(await whoIs(token)).toMatchObject({ role: 'editor' })
    await updateUser(app, admin, user.id, { role: 'viewer' })
    expect(await whoIs(token)).toMatchObject({ role: 'viewer' })
    await updateUser(app, admin, user.id, { password: 'an even longer one' })
    await failure('unauthenticated', whoIs(token))
    const second = await signIn('bo', 'an even longer one')
    await deleteUser(app, admin, user.id)
    await failure('unauthenticated', whoIs(second))
    await failure('unauthenticated', signIn('bo', 'an even longer one'))
    const next = await createUser(app, admin, { username: 'bo', password, role: 'viewer' })
    expect(next.id).not.toBe(user.id)
    await failure('unauthenticated', whoIs(second))
  })

  it('cannot sign in when their removal broke off after the records', async () => {
    const { app, admin, signIn } = await identityHouse()
    const user = await createUser(app, admin, { username: 'bo', password, role: 'viewer' })
    const dying = { ...app, identity: { ...app.identity, forget: () => Promise.reject(new Error('killed')) } }
    await expect(deleteUser(dying, admin, user.id)).rejects.toThrow('killed')
    await failure('unauthenticated', signIn('bo', password))
    expect(await app.identity.checkPassword('bo', password)).toBe(false)
  })

  it('change their own password with the current one', async () => {
    const { app, admin, whoIs, signIn } = await identityHouse()
    const token = await signIn()
    const change = (current_password: string) =>
      changePassword(app, admin, { current_password, new_password: 'brand new password' })
    const { extras } = await failure('invalid_request', change('wrong'))
    expect(extras.errors?.[0]?.pointer).toBe('/current_password')
    await change(admin_password)
    await failure('unauthenticated', whoIs(token))
    expect(await signIn('admin', 'brand new password')).toBeTruthy()
    await failure(
      'forbidden',
      changePassword(app, { ...admin, kind: 'api_key' }, { current_password: 'x', new_password: password }),
    )
  })

  it('cannot be guessed through the change of password either', async () => {
    const { app, admin } = await identityHouse()
    const guess = () => changePassword(app, admin, { current_password: 'wrong', new_password: password })
    for (let tried = 0; tried < 10; tried += 1) await failure('invalid_request', guess())
    await failure('rate_limited', guess())
  })
})

describe('the last admin', () => {
  it('stays admin, whoever asks and however many at once', async () => {
    const { app, admin } = await identityHouse()
    await failure('conflict', deleteUser(app, admin, admin.id))
    await failure('conflict', updateUser(app, admin, admin.id, { role: 'viewer' }))
    const others = await Promise.all(
      ['bo', 'cy', 'di'].map((username) => createUser(app, admin, { username, password, role: 'admin' })),
    )
    const ids = [admin.id, ...others.map(({ id }) => id)]
    const done = await Promise.allSettled(
      ids.map((id, at) => (at % 2 ? deleteUser(app, admin, id) : updateUser(app, admin, id, { role: 'viewer' }))),
    )
    expect(codes(done)).toEqual(['conflict', 'done', 'done', 'done'])
    expect((await listUsers(app, admin)).filter(({ role }) => role === 'admin')).toHaveLength(1)
    expect((await getOrganization(app, admin.organization_id)).body.admins).toBe(1)
  })
})

describe('organisations', () => {
  it('are made by operators only', async () => {
    const { app, admin } = await identityHouse()
    const input = { name: 'Other', admin: { username: 'ada', password } }
    await failure('forbidden', createOrganization(app, { ...admin, role: 'editor' }, input))
    const { admin: theirs } = await createOrganization(app, admin, input)
    const ada: Principal = { kind: 'user', name: 'ada', ...theirs }
    await failure('forbidden', createOrganization(app, ada, { name: 'Third', admin: { username: 'eve', password } }))
  })

  it('do not see each other: a foreign id answers like an unknown one', async () => {
    const { app, admin } = await identityHouse()
    const { admin: theirs } = await createOrganization(app, admin, { name: 'Other', admin: { username: 'ada', password } })
    const ada: Principal = { kind: 'user', name: 'ada', ...theirs }
    const { key } = await createApiKey(app, admin, { name: 'ci', role: 'viewer' })
    const attempts: [(id: string) => Promise<unknown>, string][] = [
      [(id) => deleteUser(app, ada, id), admin.id],
      [(id) => updateUser(app, ada, id, { role: 'viewer' }), admin.id],
      [(id) => updateUser(app, ada, id, { password }), admin.id],
      [(id) => revokeApiKey(app, ada, id), key.id],
    ]
    for (const [attempt, id] of attempts) {
      const foreign = await failure('not_found', attempt(id))
      const unknown = await failure('not_found', attempt('nobody'))
      expect(foreign.message.replace(id, 'nobody')).toBe(unknown.message)
    }
    expect(await listUsers(app, ada)).toHaveLength(1)
    expect(await listApiKeys(app, ada)).toEqual([])
    expect(await listApiKeys(app, admin)).toHaveLength(1)
  })
})

describe('API keys', () => {
  it('do not exceed their maker, and one with a policy makes nothing that signs in', async () => {
    const { app, admin } = await identityHouse()
    await failure('forbidden', createApiKey(app, { ...admin, role: 'editor' }, { name: 'up', role: 'admin' }))
    const restricted: Principal = { ...admin, kind: 'api_key', policy: { source_cidrs: ['10.0.0.0/8'] } }
    await failure('policy_denied', createApiKey(app, restricted, { name: 'free', role: 'viewer' }))
    await failure('policy_denied', createUser(app, restricted, { username: 'bo', password, role: 'viewer' }))
    await failure('policy_denied', updateUser(app, restricted, admin.id, { password }))
    await failure('policy_denied', createOrganization(app, restricted, { name: 'free', admin: { username: 'bo', password } }))
  })
})
