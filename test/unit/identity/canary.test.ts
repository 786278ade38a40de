import { describe, expect, it } from 'vitest'
import { isPlatformError } from '../../../layers/core/contract/errors.ts'
import type { Principal } from '../../../layers/core/domain/principal.ts'
import { authenticate } from '../../../layers/core/usecases/authenticate.ts'
import { changePassword } from '../../../layers/core/usecases/change-password.ts'
import { createApiKey } from '../../../layers/core/usecases/create-api-key.ts'
import { createOrganization } from '../../../layers/core/usecases/create-organization.ts'
import { createUser } from '../../../layers/core/usecases/create-user.ts'
import { issueToken } from '../../../layers/core/usecases/issue-token.ts'
import { updateUser } from '../../../layers/core/usecases/update-user.ts'
import { embeddedIdentity } from '../../../layers/identity/embedded.ts'
import { identityHouse, issuer, source_ip } from '../../support/identity.ts'

const canary = 'canary-9b7e41d0-password'

/** Everything a careless handler or log line could print of an error, its causes included. */
const everything = (thrown: unknown): string => {
  const parts: string[] = []
  for (let error = thrown; error !== undefined && parts.length < 50; error = error instanceof Error ? error.cause : undefined) {
    parts.push(String(error))
    if (error instanceof Error)
      parts.push(error.stack ?? '', error.message, JSON.stringify(error, Object.getOwnPropertyNames(error)))
    if (isPlatformError(error)) parts.push(JSON.stringify({ ...error.extras, cause: undefined }))
  }
  return parts.join('\n')
}

describe('no error and no log line', () => {
  it('carries a password, a token, a key or a private key', async () => {
    const { app, admin, store } = await identityHouse()
    const { api_key, key } = await createApiKey(app, admin, { name: 'ci', role: 'editor' })
    await createUser(app, admin, { username: 'bo', password: canary, role: 'viewer' })
    const { token } = await issueToken(app, { username: 'bo', password: canary, source_ip })
    const signing_keys = (await app.secrets.get('identity/signing-keys')) ?? ''
    const private_part: string = JSON.parse(signing_keys)[0].jwk.d
    const bo: Principal = { ...admin, name: 'bo' }
    const broken = { ...app, records: { ...app.records, write: () => Promise.reject(new Error('disk full')) } }
    const without_secrets = { get: async () => '{"not":"keys"}', put: async () => {}, remove: async () => {} }
    const failing = [
      () => issueToken(app, { username: 'bo', password: `${canary}x`, source_ip }),
      () => issueToken(app, { username: canary, password: canary, source_ip }),
      () => createUser(app, admin, { username: 'bo', password: canary, role: 'viewer' }),
      () => createUser(broken, admin, { username: 'cy', password: canary, role: 'viewer' }),
      () => createOrganization(app, admin, { name: 'x', admin: { username: 'bo', password: canary } }),
      () => changePassword(app, bo, { current_password: canary, new_password: `${canary}y` }),
      () => updateUser(app, admin, 'usr_none', { password: canary }),
      () => app.identity.setPassword({ user_id: 'usr_none', username: 'none', organization_id: 'org' }, canary),
      () => app.identity.verify(`${token}x`),
      () => embeddedIdentity({ ...app, issuer: 'http://else.example' }).verify(token),
      () => embeddedIdentity({ ...app, issuer, secrets: without_secrets }).verify(token),
      () => authenticate(app, { authorization: `Basic ${token}`, source_ip }),
      () => authenticate(app, { authorization: `Bearer ${token}`, api_key, source_ip }),
      () => authenticate(app, { api_key: `${api_key}x`, source_ip }),
    ]
    const printed: string[] = []
    for (const [at, attempt] of failing.entries()) {
      const thrown = await attempt().then(
        () => expect.fail(`attempt ${at} was meant to fail`),
        (error: unknown) => error,
      )
      printed.push(everything(thrown))
    }
    // A key whose last use cannot be noted still works, and the log says which by its id.
    expect(await authenticate({ ...broken, records: { ...broken.records } }, { api_key, source_ip })).toMatchObject({
      id: key.id,
    })
    expect(app.log.lines.join('\n')).toContain(key.id)
    const stored = JSON.stringify(store.changes(0, 10_000))
    for (const secret of [canary, token, api_key, private_part]) {
      expect(printed.join('\n')).not.toContain(secret)
      expect(app.log.lines.join('\n')).not.toContain(secret)
      expect(stored).not.toContain(secret)
    }
  })
})
