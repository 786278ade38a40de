import { describe, expect, it } from 'vitest'
import { authorize } from '../../../layers/core/domain/policy.ts'
import { authenticate } from '../../../layers/core/usecases/authenticate.ts'
import { createApiKey } from '../../../layers/core/usecases/create-api-key.ts'
import { createUser } from '../../../layers/core/usecases/create-user.ts'
import { listApiKeys } from '../../../layers/core/usecases/list-api-keys.ts'
import { revokeApiKey } from '../../../layers/core/usecases/revoke-api-key.ts'
import { identityHouse, source_ip } from '../../support/identity.ts'
import { failure } from '../../support/records.ts'

const password = 'a long enough one'

describe('authenticate', () => {
  it('takes a key as bearer or in its own header, and refuses what is neither', async () => {
    const { app, admin, whoIs, signIn } = await identityHouse()
    const { api_key, key } = await createApiKey(app, admin, { name: 'ci', role: 'editor' })
    const wanted = { kind: 'api_key', id: key.id, name: 'ci', role: 'editor', organization_id: admin.organization_id }
    expect(await whoIs(api_key)).toEqual(wanted)
    expect(await authenticate(app, { api_key, source_ip })).toEqual(wanted)
    expect(await authenticate(app, { authorization: `bearer  ${api_key}`, api_key, source_ip })).toEqual(wanted)
    const token = await signIn()
    const refused = [
      {},
      { authorization: '' },
      { authorization: 'Bearer' },
      { authorization: 'Bearer ' },
      { authorization: `Basic ${token}` },
      { authorization: `Bearer ${token} ${token}` },
      { authorization: token },
      { api_key: token },
      { api_key: '' },
      { authorization: `Bearer ${token}`, api_key },
      { api_key: `${api_key}x` },
      { api_key: api_key.slice(0, -1) },
      { api_key: 'ak_' },
      { authorization: `Bearer ${'a'.repeat(1_000_000)}` },
      { api_key: `ak_${'a'.repeat(1_000_000)}` },
    ]
    for (const credentials of refused) {
      const { message } = await failure('unauthenticated', authenticate(app, { ...credentials, source_ip }))
      expect(message).not.toContain(api_key)
      expect(message).not.toContain(token)
    }
  })

  it('reads nothing while its answer is fresh, and reads again after four seconds', async () => {
    const { app, admin, reads, whoIs, signIn, advance } = await identityHouse()
    const token = await signIn()
    const { api_key } = await createApiKey(app, admin, { name: 'ci', role: 'editor' })
    for (const credential of [token, api_key]) {
      await whoIs(credential)
      const before = reads.count
      for (let call = 0; call < 100; call += 1) await whoIs(credential)
      expect(reads.count).toBe(before)
      advance(4)
      await whoIs(credential)
      expect(reads.count).toBeGreaterThan(before)
    }
  })

  it('does the work once for a thousand requests that come together', async () => {
    const { admin, app, reads, whoIs } = await identityHouse()
    const { api_key } = await createApiKey(app, admin, { name: 'ci', role: 'editor' })
    const before = reads.count
    const answers = await Promise.all(Array.from({ length: 1000 }, () => whoIs(api_key)))
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1)
    expect(reads.count - before).toBe(2)
  })

  it('keeps no failure', async () => {
    const { app, admin, whoIs } = await identityHouse()
    const { api_key, key } = await createApiKey(app, admin, { name: 'ci', role: 'editor' })
    await whoIs(api_key)
    await revokeApiKey(app, admin, key.id)
    await failure('unauthenticated', whoIs(api_key))
    await failure('unauthenticated', whoIs(api_key))
  })

  it('sees what another process changed within five seconds', async () => {
    const { app, admin, whoIs, signIn, advance, store } = await identityHouse()
    await createUser(app, admin, { username: 'bo', password, role: 'admin' })
    const token = await signIn('bo', password)
    const { api_key, key } = await createApiKey(app, admin, { name: 'ci', role: 'editor' })
    await whoIs(token)
    await whoIs(api_key)
    // The other process has the same store and a cache of its own, so nothing here is told.
    const elsewhere = { ...app, records: { ...store } }
    await revokeApiKey(elsewhere, admin, key.id)
    await app.identity.setPassword(await app.identity.verify(token), 'another long password')
    advance(5)
    await failure('unauthenticated', whoIs(api_key))
    await failure('unauthenticated', whoIs(token))
  })

  it('stores only the digest of a key, and its last use once a minute', async () => {
    const { app, admin, whoIs, advance, store } = await identityHouse()
    const { api_key, key } = await createApiKey(app, admin, { name: 'ci', role: 'editor' })
    expect(api_key).toMatch(/^ak_[A-Za-z0-9_-]{43}$/)
    expect(api_key.startsWith(key.prefix)).toBe(true)
    const usedAt = async () => (await listApiKeys(app, admin))[0]?.last_used_at
    const writes = () => store.changes(0, 10_000).filter((change) => change.key.sk === `api-key#${key.id}`).length
    expect(await usedAt()).toBeNull()
    await whoIs(api_key)
    expect(await usedAt()).toBe('2026-11-21T12:00:00.000Z')
    const after_first = writes()
    for (let second = 0; second < 55; second += 5) {
      advance(5)
      await whoIs(api_key)
    }
    expect(writes()).toBe(after_first)
    advance(5)
    await whoIs(api_key)
    expect(await usedAt()).toBe('2026-11-21T12:01:00.000Z')
    expect(writes()).toBe(after_first + 1)
    expect(JSON.stringify(store.changes(0, 10_000))).not.toContain(api_key)
  })

  it('carries the policy of a key, with an end that holds although the answer is kept', async () => {
    const { app, admin, whoIs, advance } = await identityHouse()
    const policy = { actions: ['models:read'], expires_at: '2026-11-21T12:00:02Z' }
    const { api_key } = await createApiKey(app, admin, { name: 'ci', role: 'viewer', policy })
    const demand = { role: 'viewer', action: 'models:read', resource: 'models/*' } as const
    expect(authorize(await whoIs(api_key), demand, source_ip, app.now())).toEqual({ allowed: true })
    advance(2)
    expect(authorize(await whoIs(api_key), demand, source_ip, app.now())).toMatchObject({ allowed: false, code: 'token_expired' })
  })
})
