import { createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { embeddedIdentity } from '../../../layers/identity/embedded.ts'
import { identityHouse, issuer } from '../../support/identity.ts'
import { failure } from '../../support/records.ts'

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')

/** Signs what a real token says with another key or header. */
const forge = (token: string, header: object, key: Parameters<SignJWT['sign']>[0]) =>
  new SignJWT(decodeJwt(token)).setProtectedHeader({ ...decodeProtectedHeader(token), alg: 'ES256', ...header }).sign(key)

describe('tokens', () => {
  it('stand for the user, expire, and say when', async () => {
    const { app, whoIs, signIn, advance } = await identityHouse()
    const token = await signIn()
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'ES256', typ: 'JWT' })
    expect(decodeJwt(token)).toMatchObject({ iss: issuer, aud: 'aideploy' })
    expect((await app.identity.verify(token)).expires_at).toBe('2026-11-21T13:00:00.000Z')
    expect(await whoIs(token)).toMatchObject({ kind: 'user', name: 'admin', role: 'admin' })
    advance(3599)
    expect(await whoIs(token)).toMatchObject({ name: 'admin' })
    advance(1)
    await failure('token_expired', whoIs(token))
    await failure('token_expired', app.identity.verify(token))
  })

  it('are refused when forged', async () => {
    const { app, signIn } = await identityHouse()
    const token = await signIn()
    const [header = '', payload = '', signature = ''] = token.split('.')
    const public_jwk = (await app.identity.publicKeys()).keys[0] ?? {}
    const { kid } = decodeProtectedHeader(token)
    const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = createPublicKey({ key: public_jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
    const hs256 = `${encode({ alg: 'HS256', typ: 'JWT', kid })}.${payload}`
    const forged = {
      'alg none': `${encode({ alg: 'none', kid })}.${payload}.`,
      'alg none with the real signature': `${encode({ alg: 'none', kid })}.${payload}.${signature}`,
      'HS256 with the public key': `${hs256}.${createHmac('sha256', pem).update(hs256).digest('base64url')}`,
      'foreign key under our kid': await forge(token, { kid }, foreign.privateKey),
      'foreign key and kid': await forge(token, { kid: 'ours' }, foreign.privateKey),
      'kid traversal': await forge(token, { kid: '../../identity/signing-keys' }, foreign.privateKey),
      'no kid': await forge(token, { kid: undefined }, foreign.privateKey),
      jku: await forge(token, { jku: 'http://127.0.0.1:9/keys.json' }, foreign.privateKey),
      x5u: await forge(token, { x5u: 'http://127.0.0.1:9/cert.pem' }, foreign.privateKey),
      'embedded jwk': await forge(token, { jwk: foreign.publicKey.export({ format: 'jwk' }) }, foreign.privateKey),
      'changed payload': `${header}.${encode({ ...decodeJwt(token), organization_id: 'org_other' })}.${signature}`,
      'cut signature': `${header}.${payload}.${signature.slice(0, -4)}`,
      'one megabyte': `${header}.${Buffer.alloc(786_432, 97).toString('base64url')}.${signature}`,
      'not a token': 'x',
      empty: '',
    }
    for (const [name, text] of Object.entries(forged)) {
      const { message } = await failure('unauthenticated', app.identity.verify(text))
      if (text !== '') expect(message, name).not.toContain(text.slice(0, 60))
    }
    expect(await app.identity.verify(token)).toMatchObject({ username: 'admin' })
  })

  it('of another issuer or audience are refused although the key is ours', async () => {
    const { app, signIn } = await identityHouse()
    const token = await signIn()
    const stranger = embeddedIdentity({ ...app, issuer: 'http://stranger.example' })
    await failure('unauthenticated', stranger.verify(token))
    const [stored] = JSON.parse((await app.secrets.get('identity/signing-keys')) ?? '[]')
    const claims = { ...decodeJwt(token), aud: 'somebody' }
    const { importJWK } = await import('jose')
    const ours = await importJWK(stored.jwk, 'ES256')
    const other_audience = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: stored.kid }).sign(ours)
    await failure('unauthenticated', app.identity.verify(other_audience))
    const without_end = { ...decodeJwt(token), exp: undefined }
    await failure(
      'unauthenticated',
      app.identity.verify(await new SignJWT(without_end).setProtectedHeader({ alg: 'ES256', kid: stored.kid }).sign(ours)),
    )
  })

  it('outlive a rotation of the keys, and the old key goes when none is left', async () => {
    const { app, signIn, advance } = await identityHouse()
    const old_token = await signIn()
    await app.identity.rotateKeys()
    const new_token = await signIn()
    expect(decodeProtectedHeader(new_token).kid).not.toBe(decodeProtectedHeader(old_token).kid)
    expect((await app.identity.publicKeys()).keys).toHaveLength(2)
    expect(JSON.stringify(await app.identity.publicKeys())).not.toContain('"d"')
    const restarted = embeddedIdentity({ ...app, issuer })
    expect(await restarted.verify(old_token)).toMatchObject({ username: 'admin' })
    expect(await restarted.verify(new_token)).toMatchObject({ username: 'admin' })
    advance(3601)
    expect((await app.identity.publicKeys()).keys).toHaveLength(1)
    await failure('unauthenticated', embeddedIdentity({ ...app, issuer }).verify(old_token))
  })

  it('are signed by a new key after a month', async () => {
    const { signIn, advance } = await identityHouse()
    const first = decodeProtectedHeader(await signIn()).kid
    advance(31 * 86_400)
    expect(decodeProtectedHeader(await signIn()).kid).not.toBe(first)
  })

  it('make one key when many ask at once', async () => {
    const { app } = await identityHouse()
    const values = new Map<string, string>()
    const fresh = embeddedIdentity({
      ...app,
      issuer,
      secrets: {
        get: async (name) => values.get(name),
        put: async (name, value) => void values.set(name, value),
        remove: async () => {},
      },
    })
    const kids = await Promise.all(Array.from({ length: 8 }, async () => (await fresh.publicKeys()).keys[0]?.kid))
    expect(new Set(kids).size).toBe(1)
  })
})
