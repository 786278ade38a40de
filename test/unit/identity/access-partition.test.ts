import { describe, expect, it } from 'vitest'
import type { Principal } from '../../../layers/core/domain/principal.ts'
import { ApiKey, User } from '../../../layers/core/domain/user.ts'
import { authenticate } from '../../../layers/core/usecases/authenticate.ts'
import { authenticateCaller } from '../../../layers/core/usecases/authenticate-caller.ts'
import { changePassword } from '../../../layers/core/usecases/change-password.ts'
import { createApiKey } from '../../../layers/core/usecases/create-api-key.ts'
import { createOrganization } from '../../../layers/core/usecases/create-organization.ts'
import { createUser } from '../../../layers/core/usecases/create-user.ts'
import { deleteUser } from '../../../layers/core/usecases/delete-user.ts'
import { listUsers } from '../../../layers/core/usecases/list-users.ts'
import { apiKeyKey, userKey } from '../../../layers/core/usecases/organization-records.ts'
import { revokeApiKey } from '../../../layers/core/usecases/revoke-api-key.ts'
import { updateUser } from '../../../layers/core/usecases/update-user.ts'
import { admin_password, identityHouse, source_ip } from '../../support/identity.ts'
import { failure } from '../../support/records.ts'

const password = 'a long enough one'

/** The platform, and a function that serves a model: it reads one partition, and of tokens it proves the signature alone. */
const house = async () => {
  const at = await identityHouse()
  const read: string[] = []
  const verified = new Map<string, Awaited<ReturnType<typeof at.app.identity.verify>>>()
  const parts = {
    records: {
      get: (key: { pk: string; sk: string }) => {
        read.push(key.pk)
        return at.store.get(key)
      },
    },
    identity: {
      // What a token proved once its signature still proves after the platform has ended it.
      verify: async (token: string) => {
        const claims = verified.get(token) ?? (await at.app.identity.verify(token))
        verified.set(token, claims)
        return claims
      },
    },
    now: at.app.now,
  }
  const call = (credential: string, organization_id = at.admin.organization_id) =>
    authenticateCaller(parts, organization_id, { authorization: `Bearer ${credential}`, source_ip })
  const accessDocuments = async () =>
    (await at.store.query({ pk: `access#${at.admin.organization_id}`, limit: 100 })).items
      .map(({ sk }) => sk.split('#')[0])
      .sort()
  return { ...at, parts, read, call, accessDocuments }
}

describe('a function that serves one model', () => {
  it('knows who calls as the platform does, from its own partition alone', async () => {
    const { app, admin, call, whoIs, signIn, read } = await house()
    const policy = { source_cidrs: ['192.0.2.0/24'], expires_at: '2027-01-01T00:00:00Z' }
    const plain = await createApiKey(app, admin, { name: 'plain', role: 'viewer' })
    const restricted = await createApiKey(app, admin, { name: 'restricted', role: 'editor', policy })
    await createUser(app, admin, { username: 'bo', password, role: 'editor' })
    for (const credential of [plain.api_key, restricted.api_key, await signIn(), await signIn('bo', password)])
      expect(await call(credential)).toEqual(await whoIs(credential))
    expect(new Set(read)).toEqual(new Set([`access#${admin.organization_id}`]))
  })

  it('refuses with the platform’s own words', async () => {
    const { app, whoIs, call, parts, admin } = await house()
    const credentials = [
      {},
      { authorization: 'Basic x' },
      { api_key: 'x' },
      { api_key: 'ak_unknown' },
      { authorization: 'Bearer x.y.z' },
      { authorization: 'Bearer a', api_key: 'ak_b' },
      { authorization: `Bearer ${'a'.repeat(5000)}` },
    ]
    for (const given of credentials) {
      const here = await failure('unauthenticated', authenticateCaller(parts, admin.organization_id, { ...given, source_ip }))
      const there = await failure('unauthenticated', authenticate(app, { ...given, source_ip }))
      expect(here.message).toBe(there.message)
    }
    await failure('unauthenticated', call('ak_'))
    await failure('unauthenticated', whoIs('ak_'))
  })

  it('takes nobody of another organisation', async () => {
    const { app, admin, call, signIn } = await house()
    const { organization } = await createOrganization(app, admin, { name: 'Other', admin: { username: 'ada', password } })
    const theirs: Principal = { ...admin, organization_id: organization.id }
    const { api_key } = await createApiKey(app, theirs, { name: 'theirs', role: 'admin' })
    const token = await signIn('ada', password)
    expect(await call(api_key, organization.id)).toMatchObject({ name: 'theirs' })
    expect(await call(token, organization.id)).toMatchObject({ name: 'ada' })
    const unknown_key = await failure('unauthenticated', call('ak_unknown'))
    expect((await failure('unauthenticated', call(api_key))).message).toBe(unknown_key.message)
    await failure('unauthenticated', call(token))
  })

  it('sees a revoked key, a removed user, a changed role or password within five seconds', async () => {
    const { app, admin, call, signIn, advance, accessDocuments } = await house()
    const before = await accessDocuments()
    const bo = await createUser(app, admin, { username: 'bo', password, role: 'editor' })
    const { api_key, key } = await createApiKey(app, admin, { name: 'ci', role: 'viewer' })
    const token = await signIn('bo', password)
    expect(await call(token)).toMatchObject({ role: 'editor' })
    expect(await call(api_key)).toMatchObject({ role: 'viewer' })
    await updateUser(app, admin, bo.id, { role: 'viewer' })
    advance(5)
    expect(await call(token)).toMatchObject({ role: 'viewer' })
    await updateUser(app, admin, bo.id, { password: 'the next password' })
    const next = await signIn('bo', 'the next password')
    advance(5)
    await failure('unauthenticated', call(token))
    expect(await call(next)).toMatchObject({ name: 'bo' })
    await deleteUser(app, admin, bo.id)
    await revokeApiKey(app, admin, key.id)
    advance(5)
    await failure('unauthenticated', call(next))
    await failure('unauthenticated', call(api_key))
    expect(await accessDocuments()).toEqual(before)
  })

  it('takes a new password’s tokens at once, in the very second of the change', async () => {
    const { app, admin, call, signIn } = await house()
    const before = await signIn()
    await changePassword(app, admin, { current_password: admin_password, new_password: password })
    const after = await signIn('admin', password)
    expect(await call(after)).toMatchObject({ name: 'admin' })
    await failure('unauthenticated', call(before))
  })

  it('refuses too much rather than too little when a change of password dies half way, until the platform is used', async () => {
    const { app, admin, call, whoIs, signIn, advance } = await house()
    const before = await signIn()
    const dying = { ...app, identity: { ...app.identity, setPassword: () => Promise.reject(new Error('killed')) } }
    await expect(updateUser(dying, admin, admin.id, { password })).rejects.toThrow('killed')
    await failure('unauthenticated', call(before))
    await whoIs(before)
    advance(5)
    expect(await call(before)).toMatchObject({ name: 'admin' })
    const set = async (...given: Parameters<typeof app.identity.setPassword>) => {
      await app.identity.setPassword(...given)
      throw new Error('killed')
    }
    await expect(
      updateUser({ ...app, identity: { ...app.identity, setPassword: set } }, admin, admin.id, { password }),
    ).rejects.toThrow('killed')
    advance(5)
    await failure('unauthenticated', call(before))
    const after = await signIn('admin', password)
    await failure('unauthenticated', call(after))
    await whoIs(after)
    expect(await call(after)).toMatchObject({ name: 'admin' })
  })

  it('takes users of other issuers by name, within the organisation the issuer is confined to', async () => {
    const { app, admin, parts } = await house()
    await createUser(app, admin, { username: 'Bo@example.org', password, role: 'editor' })
    const ask = (claims: { username: string; organization_id?: string }) => {
      const identity = { verify: async () => ({ ...claims, expires_at: '2027-01-01T00:00:00.000Z' }) }
      const fresh = { ...parts, records: { ...parts.records }, identity }
      return authenticateCaller(fresh, admin.organization_id, { authorization: 'Bearer x', source_ip })
    }
    expect(await ask({ username: 'bo@EXAMPLE.org' })).toMatchObject({ name: 'Bo@example.org', role: 'editor' })
    expect(await ask({ username: 'bo@example.org', organization_id: admin.organization_id })).toBeTruthy()
    await failure('unauthenticated', ask({ username: 'eve@example.org' }))
    await failure('unauthenticated', ask({ username: 'bo@example.org', organization_id: 'org_other' }))
  })

  it('reads once for a thousand calls that come together, and nothing while the answer is fresh', async () => {
    const { app, admin, call, read, advance } = await house()
    const { api_key } = await createApiKey(app, admin, { name: 'ci', role: 'viewer' })
    await Promise.all(Array.from({ length: 1000 }, () => call(api_key)))
    await call(api_key)
    expect(read).toHaveLength(1)
    advance(4)
    await call(api_key)
    expect(read).toHaveLength(2)
  })
})

describe('users and keys older than the access partition', () => {
  it('enter it when they use the platform', async () => {
    const { app, admin, store, call, whoIs, signIn, advance, accessDocuments } = await house()
    const { api_key, key } = await createApiKey(app, admin, { name: 'ci', role: 'viewer' })
    const token = await signIn()
    for (const { pk, sk } of (await store.query({ pk: `access#${admin.organization_id}` })).items)
      await store.write([{ remove: { pk, sk }, expect: 'any' }])
    const [user] = await listUsers(app, admin)
    const { token_epoch: _, ...old_user } = User.parse(user)
    const { in_access: __, ...old_key } = key
    await store.write([
      { put: { ...userKey(admin.organization_id, admin.id), body: old_user }, expect: 'any' },
      { put: { ...apiKeyKey(admin.organization_id, key.id), body: { ...old_key, policy: null } }, expect: 'any' },
    ])
    await failure('unauthenticated', call(token))
    await failure('unauthenticated', call(api_key))
    advance(5)
    await whoIs(token)
    await whoIs(api_key)
    expect(await call(token)).toMatchObject({ name: 'admin' })
    expect(await call(api_key)).toMatchObject({ name: 'ci' })
    expect(await accessDocuments()).toEqual(['key', 'name', 'user'])
    const stored = await store.get(apiKeyKey(admin.organization_id, key.id))
    expect(ApiKey.parse(stored?.body).in_access).toBe(true)
  })
})
