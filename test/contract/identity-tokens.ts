import { createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from 'jose'
import { expect } from 'vitest'
import { failure } from '../support/records.ts'
import { enrolled, type IdentityStand, signIn, type Tests } from './identity.ts'

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')

/** What nobody but the issuer could have made is missing from each of these. */
const forgeries = async (token: string, { identity }: IdentityStand): Promise<Record<string, string>> => {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const { alg = '', kid } = decodeProtectedHeader(token)
  const [public_jwk = {}] = (await identity.publicKeys()).keys
  const foreign = alg.startsWith('ES')
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 })
  const forge = (more: object) =>
    new SignJWT(decodeJwt(token)).setProtectedHeader({ typ: 'JWT', kid, ...more, alg }).sign(foreign.privateKey)
  const pem = createPublicKey({ key: public_jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  const hs256 = `${encode({ alg: 'HS256', typ: 'JWT', kid })}.${payload}`
  const hmac = (key: string | Buffer) => `${hs256}.${createHmac('sha256', key).update(hs256).digest('base64url')}`
  return {
    'alg none': `${encode({ alg: 'none', kid })}.${payload}.`,
    'alg none with the real signature': `${encode({ alg: 'none', kid })}.${payload}.${signature}`,
    'HS256 with the public key as PEM': hmac(pem),
    'HS256 with the public key as JWK': hmac(JSON.stringify(public_jwk)),
    'HS256 with nothing': hmac(''),
    'foreign key under our kid': await forge({}),
    'foreign key and kid': await forge({ kid: 'ours' }),
    'no kid': await forge({ kid: undefined }),
    jku: await forge({ jku: 'http://127.0.0.1:9/keys.json' }),
    x5u: await forge({ x5u: 'http://127.0.0.1:9/cert.pem' }),
    'embedded jwk': await forge({ jwk: foreign.publicKey.export({ format: 'jwk' }) }),
    'changed payload': `${header}.${encode({ ...decodeJwt(token), organization_id: 'org_2', 'custom:organization_id': 'org_2' })}.${signature}`,
    'later end': `${header}.${encode({ ...decodeJwt(token), exp: 4_102_444_800 })}.${signature}`,
    'cut signature': `${header}.${payload}.${signature.slice(0, -4)}`,
    'no signature': `${header}.${payload}.`,
    'one megabyte': `${header}.${Buffer.alloc(786_432, 97).toString('base64url')}.${signature}`,
    'not a token': 'x',
    'two dots': '..',
    empty: '',
  }
}

export const tokenTests: Tests = {
  'refuses a token that has ended': async (stand) => {
    const user = await enrolled(stand)
    const { token, expires_at } = await stand.identity.signIn({ ...user, password: 'a long enough one', source_ip: '192.0.2.1' })
    await stand.identity.verify(token)
    stand.advance(3500)
    expect(await stand.identity.verify(token)).toMatchObject({ user_id: user.user_id, expires_at })
    stand.advance(101)
    await failure('token_expired', stand.identity.verify(token))
    await failure('token_expired', stand.identity.verify(token))
  },

  'refuses every forged token, and says nothing of it': async (stand) => {
    const token = await signIn(stand, await enrolled(stand))
    await stand.identity.verify(token)
    for (const [name, text] of Object.entries(await forgeries(token, stand))) {
      const { message } = await failure('unauthenticated', stand.identity.verify(text)).catch((error: unknown) =>
        expect.fail(`${name}: ${error}`),
      )
      if (text.length > 10) expect(message, name).not.toContain(text.slice(0, 60))
    }
    expect(await stand.identity.verify(token)).toBeTruthy()
  },

  'refuses a token of another platform': async (stand) => {
    const user = await enrolled(stand)
    const stranger = await stand.stranger()
    await stranger.enrol(user, 'a long enough one')
    const theirs = await signIn({ ...stand, identity: stranger }, user)
    expect(await stranger.verify(theirs)).toMatchObject({ user_id: user.user_id })
    await failure('unauthenticated', stand.identity.verify(theirs))
    await failure('unauthenticated', stranger.verify(await signIn(stand, user)))
  },

  'shows the public keys that verify its tokens, and nothing private': async (stand) => {
    const token = await signIn(stand, await enrolled(stand))
    const { keys } = await stand.identity.publicKeys()
    const set = createLocalJWKSet({ keys: keys.map((key) => ({ ...key, kty: String(key.kty) })) })
    const currentDate = new Date((decodeJwt(token).iat ?? 0) * 1000)
    expect((await jwtVerify(token, set, { currentDate })).payload.exp).toBeGreaterThan(0)
    for (const key of keys) for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) expect(key).not.toHaveProperty(secret)
  },

  'keeps tokens valid over a rotation of the keys': async (stand) => {
    const user = await enrolled(stand)
    const before = await signIn(stand, user)
    await stand.identity.rotateKeys()
    const after = await signIn(stand, user)
    for (const token of [before, after]) expect(await stand.identity.verify(token)).toMatchObject({ user_id: user.user_id })
  },
}
