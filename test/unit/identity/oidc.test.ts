import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { exportJWK, SignJWT } from 'jose'
import { describe, expect, it, onTestFinished } from 'vitest'
import { authenticate } from '../../../layers/core/usecases/authenticate.ts'
import { createOrganization } from '../../../layers/core/usecases/create-organization.ts'
import { createUser } from '../../../layers/core/usecases/create-user.ts'
import { deleteUser } from '../../../layers/core/usecases/delete-user.ts'
import { issueToken } from '../../../layers/core/usecases/issue-token.ts'
import { withOidc } from '../../../layers/identity/oidc.ts'
import { OidcIssuer, OidcIssuersText } from '../../../layers/identity/oidc-issuer.ts'
import { identityHouse, source_ip } from '../../support/identity.ts'
import { type Page, startJsonSite } from '../../support/json-site.ts'
import { failure } from '../../support/records.ts'

const password = 'a long enough one'
const audience = 'ai-deploy'

const answering = (how: (response: ServerResponse) => unknown): Page => ({ raw: (_, response) => void how(response) })
const keyPair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** An identity provider on loopback. */
const startIssuer = async (pair = keyPair()) => {
  const site = await startJsonSite()
  onTestFinished(() => site.stop())
  const issuer = `${site.url}/realm`
  site.pages.set('/realm/.well-known/openid-configuration', () => ({ issuer, jwks_uri: `${site.url}/keys`, token_endpoint: 'x' }))
  site.pages.set('/keys', async () => ({ keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'k1', use: 'sig' }] }))
  return { site, issuer, pair }
}

/** The platform on one machine that also takes that issuer's tokens. */
const house = async (more: object | ((organization_id: string) => object) = {}) => {
  const provider = await startIssuer()
  const at = await identityHouse()
  const given = typeof more === 'function' ? more(at.admin.organization_id) : more
  const issuer = OidcIssuer.parse({ issuer: provider.issuer, audience, username_claim: 'email', allow_private: true, ...given })
  const app = { ...at.app, identity: withOidc(at.app.identity, { issuers: [issuer], records: at.app.records, now: at.app.now }) }
  const bo = await createUser(app, at.admin, { username: 'bo@example.org', password, role: 'editor' })
  const now_s = Math.floor(app.now().getTime() / 1000)
  const usual = { iss: provider.issuer, aud: audience, sub: '42', iat: now_s, exp: now_s + 600, email: 'Bo@Example.org' }
  const token = (claims: object = {}, key: KeyObject = provider.pair.privateKey, header: object = {}) =>
    new SignJWT({ ...usual, ...claims }).setProtectedHeader({ alg: 'ES256', kid: 'k1', ...header }).sign(key)
  const whoIs = (text: string) => authenticate(app, { authorization: `Bearer ${text}`, source_ip })
  return { ...at, app, provider, bo, now_s, usual, token, whoIs }
}

describe('tokens of another issuer', () => {
  it('stand for the user of that name, and end with the user', async () => {
    const { app, admin, bo, token, whoIs, advance } = await house()
    const text = await token()
    expect(await whoIs(text)).toEqual({
      kind: 'user',
      id: bo.id,
      name: 'bo@example.org',
      organization_id: admin.organization_id,
      role: 'editor',
    })
    await deleteUser(app, admin, bo.id)
    advance(5)
    await failure('unauthenticated', whoIs(text))
  })

  it('stand beside the platform’s own', async () => {
    const { app, whoIs } = await house()
    const own = await issueToken(app, { username: 'bo@example.org', password, source_ip })
    expect(await whoIs(own.token)).toMatchObject({ name: 'bo@example.org' })
  })

  it('are refused unless every claim is as wanted', async () => {
    const { token, whoIs, now_s, usual, provider } = await house()
    const wrong: Record<string, object> = {
      'another audience': { aud: 'somebody' },
      'no audience': { aud: undefined },
      'no end': { exp: undefined },
      'not yet': { nbf: now_s + 120 },
      'another issuer': { iss: `${provider.issuer}/` },
      'several audiences and no party': { aud: [audience, 'somebody'] },
      'another party': { azp: 'somebody' },
      'no name': { email: undefined },
      'a name that is no text': { email: ['bo@example.org'] },
      'an endless name': { email: `${'b'.repeat(2000)}@example.org` },
      'an address nobody verified': { email_verified: false },
      'the same in text': { email_verified: 'false' },
      'nobody of ours': { email: 'eve@example.org' },
    }
    for (const [name, claims] of Object.entries(wrong))
      await failure('unauthenticated', whoIs(await token(claims))).catch((error) => expect.fail(`${name}: ${error}`))
    await failure('token_expired', whoIs(await token({ exp: now_s - 61 })))
    const right: Record<string, object> = {
      'clocks that differ by a minute': { iat: now_s + 50, nbf: now_s + 50, exp: now_s - 50 },
      'us as the party': { azp: audience, aud: [audience, 'somebody'] },
      'a verified address': { email_verified: true },
    }
    for (const [name, claims] of Object.entries(right))
      expect(await whoIs(await token({ ...usual, ...claims })), name).toMatchObject({ name: 'bo@example.org' })
  })

  it('are refused when forged', async () => {
    const { token, whoIs, provider } = await house()
    const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')
    const [, payload = '', signature] = (await token()).split('.')
    const pem = createPublicKey(provider.pair.privateKey).export({ type: 'spki', format: 'pem' })
    const hs256 = `${encode({ alg: 'HS256', kid: 'k1' })}.${payload}`
    const foreign = keyPair()
    const forged = {
      'alg none': `${encode({ alg: 'none' })}.${payload}.`,
      'alg none with a signature': `${encode({ alg: 'none', kid: 'k1' })}.${payload}.${signature}`,
      HS256: `${hs256}.${createHmac('sha256', pem).update(hs256).digest('base64url')}`,
      'foreign key': await token({}, foreign.privateKey),
      'embedded key': await token({}, foreign.privateKey, { jwk: foreign.publicKey.export({ format: 'jwk' }) }),
      'another kid': await token({}, foreign.privateKey, { kid: 'k2' }),
    }
    for (const [name, text] of Object.entries(forged))
      await failure('unauthenticated', whoIs(text)).catch((error) => expect.fail(`${name}: ${error}`))
  })

  it('of an issuer confined to one organisation name nobody of another', async () => {
    const { app, admin, token, whoIs } = await house((organization_id) => ({ organization_id }))
    expect(await whoIs(await token())).toMatchObject({ name: 'bo@example.org' })
    await createOrganization(app, admin, { name: 'Other', admin: { username: 'ada@example.org', password } })
    await failure('unauthenticated', whoIs(await token({ email: 'ada@example.org' })))
  })

  it('name the party that may use them where the stage says so', async () => {
    const { token, whoIs } = await house({ authorized_parties: ['web', 'cli'] })
    expect(await whoIs(await token({ azp: 'cli' }))).toBeTruthy()
    await failure('unauthenticated', whoIs(await token({ azp: audience })))
  })
})

describe('an issuer', () => {
  it('that answers wrongly or not at all makes its tokens wait, and nobody else’s', async () => {
    const { token, whoIs, provider, signIn, advance } = await house()
    const discovery = '/realm/.well-known/openid-configuration'
    const right = provider.site.pages.get(discovery)
    const pages: Record<string, Page> = {
      'another issuer’s document': () => ({ issuer: 'https://else.example', jwks_uri: `${provider.site.url}/keys` }),
      'no address of keys': () => ({ issuer: provider.issuer }),
      'no JSON': answering((response) => response.end('<html>')),
      'a redirect': answering((response) => response.writeHead(302, { location: `${provider.site.url}/keys` }).end()),
      'far too much': answering((response) => response.end(' '.repeat(300_000))),
      'a cut line': answering((response) => response.destroy()),
    }
    const text = await token()
    for (const [name, page] of Object.entries(pages)) {
      provider.site.pages.set(discovery, page)
      const { extras } = await failure('unavailable', whoIs(text)).catch((error) => expect.fail(`${name}: ${error}`))
      advance(extras.retry_after_s ?? 0)
    }
    expect(await whoIs(await signIn())).toMatchObject({ name: 'admin' })
    if (right) provider.site.pages.set(discovery, right)
    expect(await whoIs(text)).toMatchObject({ name: 'bo@example.org' })
  })

  it('is asked once for many tokens, and rested after a failure', async () => {
    const { token, whoIs, provider } = await house()
    const texts = await Promise.all(Array.from({ length: 10 }, (_, at) => token({ jti: String(at) })))
    await Promise.all(texts.map(whoIs))
    expect(provider.site.reads.get('/keys')).toBe(1)
    const other = await house()
    other.provider.site.pages.delete('/keys')
    for (let at = 0; at < 5; at += 1) await failure('unavailable', other.whoIs(await other.token({ jti: String(at) })))
    expect(other.provider.site.reads.get('/keys')).toBe(1)
  })

  it('on this machine or without TLS is never asked unless the stage allows it', async () => {
    const { token, whoIs, provider } = await house({ allow_private: false })
    await failure('unavailable', whoIs(await token()))
    expect(provider.site.reads.size).toBe(0)
  })

  it('is configured whole or refused', () => {
    const right = { issuer: 'https://login.example.org', audience, username_claim: 'email' }
    for (const wrong of [{ ...right, issuer: 'login' }, { ...right, audience: '' }, { ...right, algorithm: 'HS256' }, {}])
      expect(OidcIssuersText.safeParse(JSON.stringify([wrong])).success).toBe(false)
    expect(OidcIssuersText.parse(undefined)).toEqual([])
    expect(OidcIssuersText.parse(JSON.stringify([right]))).toEqual([{ ...right, allow_private: false }])
    expect(OidcIssuersText.safeParse('[{').error?.issues[0]?.message).toContain('JSON list')
  })
})
