import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { decodeJwt, decodeProtectedHeader, exportSPKI, importJWK, type JWTPayload, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type RouteId, routeRows } from '../../layers/core/contract/routes.ts'
import { fileSecrets } from '../../layers/secrets/file.ts'
import { faults, type Platform, startPlatform } from '../support/platform.ts'
import { type Caller, callerWith, echoDeployment, Id, signIn } from '../support/tenants.ts'
import { fill, plainBodies } from '../support/wrong-values.ts'

/** Who may do what, over HTTP, derived from the route table. */

let platform: Platform
let deployment_id = ''
let token = ''
const callers: Record<string, Caller> = {}
const roles = ['viewer', 'editor', 'admin']

beforeAll(async () => {
  platform = await startPlatform()
  token = await platform.token()
  deployment_id = (await echoDeployment(platform)).deployment_id
  for (const role of roles) {
    await platform.call('POST', '/users', { username: `the-${role}`, password: `password of ${role}`, role })
    callers[role] = await signIn(platform.url, `the-${role}`, `password of ${role}`)
  }
})
afterAll(async () => {
  expect(faults(platform)).toEqual([])
  await platform.stop()
  await platform.remove()
})

const protectedRows = routeRows.filter((row) => row.role !== 'anonymous' && row.role !== 'signed_url')
const Code = z.looseObject({ code: z.string().optional() })
const ask = async (caller: Caller, row: { id: RouteId; method: string; path: string }, ids: Record<string, string> = {}) => {
  const { status, body } = await caller.call(row.method, fill(row.path, ids), plainBodies[row.id])
  return { status, code: Code.safeParse(body).data?.code }
}

describe('without a token', () => {
  const nobody = () => callerWith(platform.url, undefined)
  it.each(protectedRows.map((row) => [row.method, row.path, row] as const))('%s %s is 401', async (_method, _path, row) => {
    const answer = await nobody().call(row.method, fill(row.path, {}), plainBodies[row.id])
    expect([answer.status, Code.parse(answer.body).code]).toEqual([401, 'unauthenticated'])
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/)
  })
  it('the anonymous rows answer', async () => {
    const paths = routeRows.filter((row) => row.role === 'anonymous' && row.method === 'GET').map((row) => row.path)
    expect(paths.sort()).toEqual(['/.well-known/jwks.json', '/docs', '/health', '/openapi.json'])
    for (const path of paths) expect((await nobody().call('GET', path)).status, path).toBe(200)
  })
  it('a part of an upload wants its signed URL as it is', async () => {
    const { body } = await platform.call('POST', '/models', { name: 'parts', framework: 'onnx', version: '1', size_bytes: 10 })
    const { parts } = z.object({ parts: z.array(z.object({ url: z.string() })) }).parse(body)
    const url = parts[0]?.url ?? ''
    const put = async (changed: string): Promise<number> =>
      (await fetch(changed, { method: 'PUT', body: '0123456789', headers: { 'content-type': 'application/octet-stream' } }))
        .status
    const bad = [
      url.replace('/parts/1?', '/parts/2?'),
      url.replace(/signature=.{4}/, 'signature=AAAA'),
      url.replace(/signature=[^&]*/, 'signature='),
      url.replace(/expires=(\d)/, 'expires=9$1'),
      url.replace(/expires=[^&]*/, 'expires=never'),
      url.replace(/\?.*/, ''),
      url.replace(/uploads\/[^/]+/, 'uploads/..%2f..%2fx'),
    ]
    for (const changed of bad) expect([400, 401, 403, 404, 422], changed).toContain(await put(changed))
    expect(await put(url)).toBe(200)
  })
})

describe('a forged token', () => {
  const secrets = () => fileSecrets({ path: join(platform.home, 'secrets.json'), key_path: join(platform.home, 'secrets.key') })
  const Keys = z.array(z.object({ kid: z.string(), jwk: z.record(z.string(), z.string()) })).min(1)
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const jwks = z.object({ keys: z.array(z.record(z.string(), z.string())).min(1) })
  const publicJwk = async () => jwks.parse((await platform.call('GET', '/.well-known/jwks.json')).body).keys[0] ?? {}
  /** Signed with the platform's own key, taken from its data folder. */
  const signed = async (change: JWTPayload, drop: string[] = [], header: object = {}): Promise<string> => {
    const [key] = Keys.parse(JSON.parse((await secrets().get('identity/signing-keys')) ?? '[]'))
    const claims = Object.fromEntries(Object.entries({ ...decodeJwt(token), ...change }).filter(([name]) => !drop.includes(name)))
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: key?.kid ?? '', ...header })
      .sign(createPrivateKey({ key: key?.jwk ?? {}, format: 'jwk' }), { crit: { x: true } })
  }
  const parts = (): string[] => token.split('.')
  const now_s = Math.floor(Date.now() / 1000)
  const forgeries: Record<string, () => Promise<string> | string> = {
    'alg none': () => `${encode({ ...decodeProtectedHeader(token), alg: 'none' })}.${parts()[1]}.`,
    'alg nOnE': () => `${encode({ ...decodeProtectedHeader(token), alg: 'nOnE' })}.${parts()[1]}.`,
    'alg none with the old signature': () => `${encode({ alg: 'none' })}.${parts()[1]}.${parts()[2]}`,
    'HS256 with the public key as JWK': async () =>
      new SignJWT(decodeJwt(token))
        .setProtectedHeader({ ...decodeProtectedHeader(token), alg: 'HS256' })
        .sign(Buffer.from(JSON.stringify(await publicJwk()))),
    'HS256 with the public key as PEM': async () => {
      const key = await importJWK(await publicJwk(), 'ES256', { extractable: true })
      if (key instanceof Uint8Array) throw new Error('the JWKS holds a secret')
      return new SignJWT(decodeJwt(token))
        .setProtectedHeader({ ...decodeProtectedHeader(token), alg: 'HS256' })
        .sign(Buffer.from(await exportSPKI(key)))
    },
    'another key under the same id': () =>
      new SignJWT(decodeJwt(token))
        .setProtectedHeader({ alg: 'ES256', ...decodeProtectedHeader(token) })
        .sign(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
    'a key that the token itself brings': () => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      return new SignJWT(decodeJwt(token))
        .setProtectedHeader({ alg: 'ES256', jwk: publicKey.export({ format: 'jwk' }), jku: 'http://127.0.0.1:1/keys' })
        .sign(privateKey)
    },
    'other claims under the old signature': () => `${parts()[0]}.${encode({ ...decodeJwt(token), sub: 'usr_1' })}.${parts()[2]}`,
    'a signature of zeros (CVE-2022-21449)': () => `${parts()[0]}.${parts()[1]}.${Buffer.alloc(64).toString('base64url')}`,
    'no signature': () => `${parts()[0]}.${parts()[1]}.`,
    'a changed signature': () => token.slice(0, -6) + (token.endsWith('AAAAAA') ? 'BBBBBB' : 'AAAAAA'),
    'four parts': () => `${token}.x`,
    'another issuer': () => signed({ iss: 'https://elsewhere.example' }),
    'another audience': () => signed({ aud: 'elsewhere' }),
    'no audience': () => signed({}, ['aud']),
    'no end': () => signed({}, ['exp']),
    'no subject': () => signed({}, ['sub']),
    'a beginning in the future': () => signed({ nbf: now_s + 3600 }),
    'a user who is none': () => signed({ sub: 'usr_00000000000000000000000000000000' }),
    'another organisation': () => signed({ organization_id: 'org_00000000000000000000000000000000' }),
    'another password epoch': () => signed({ epoch: 'other' }),
    'an unknown critical header': () => signed({}, [], { crit: ['x'], x: 1 }),
  }
  it.each(Object.keys(forgeries))('%s is 401', async (name) => {
    const forged = await forgeries[name]?.()
    const { status, body } = await callerWith(platform.url, forged).call('GET', '/models')
    expect([status, Code.parse(body).code]).toEqual([401, 'unauthenticated'])
    const endpoint = await callerWith(platform.url, forged).call('POST', `/deployments/${deployment_id}/inference`, {
      inputs: [[1, 2, 3, 4]],
    })
    expect(endpoint.status).toBe(401)
  })
  it('that has expired is 401 and says so', async () => {
    const expired = callerWith(platform.url, await signed({ exp: now_s - 60 }))
    const { status, body } = await expired.call('GET', '/models')
    expect([status, Code.parse(body).code]).toEqual([401, 'token_expired'])
  })
  it('of this very making is taken when nothing is changed, or the tests above prove nothing', async () => {
    expect((await callerWith(platform.url, await signed({})).call('GET', '/models')).status).toBe(200)
  })
  it.each([
    '',
    'x',
    'Bearer',
    'a.b.c',
    'ak_',
    `ak_${'x'.repeat(60)}`,
    'x'.repeat(10_000),
    '..',
    'null',
    '\u00ff',
  ])('like %j is 401', async (text) => {
    expect((await callerWith(platform.url, text).call('GET', '/models')).status).toBe(401)
  })
  it('of a megabyte is 431', async () => {
    expect((await callerWith(platform.url, 'x'.repeat(1_000_000)).call('GET', '/models')).status).toBe(431)
  })
  it('beside a right one is 401', async () => {
    const answer = await callerWith(platform.url, token).call('GET', '/models', undefined, { 'x-api-key': 'ak_wrong' })
    expect(answer.status).toBe(401)
  })
})

describe('roles', () => {
  const rank = (role: string): number => roles.indexOf(role)
  it.each(
    protectedRows.map((row) => [row.method, row.path, row.role === 'endpoint' ? 'viewer' : row.role, row] as const),
  )('%s %s wants %s', async (_method, _path, needed, row) => {
    for (const role of roles) {
      const seen = await ask(callers[role] ?? callerWith(platform.url, undefined), row)
      if (rank(role) < rank(needed)) expect(seen, role).toEqual({ status: 403, code: 'forbidden' })
      else expect(String(seen.code), `${role} ${seen.status}`).not.toMatch(/^(forbidden|policy_denied)$/)
    }
  })
  it('change at once, and a removed user is nobody at once', async () => {
    const { body } = await platform.call('POST', '/users', { username: 'fading', password: 'password of fading', role: 'admin' })
    const { id } = Id.parse(body)
    const fading = await signIn(platform.url, 'fading', 'password of fading')
    expect((await fading.call('GET', '/users')).status).toBe(200)
    await platform.call('PATCH', `/users/${id}`, { role: 'viewer' })
    expect((await fading.call('GET', '/users')).status).toBe(403)
    await platform.call('DELETE', `/users/${id}`)
    expect((await fading.call('GET', '/models')).status).toBe(401)
  })
  it('a new password ends the tokens before it', async () => {
    await platform.call('POST', '/users', { username: 'careful', password: 'password before' })
    const before = await signIn(platform.url, 'careful', 'password before')
    const changed = await before.call('POST', '/auth/password', {
      current_password: 'password before',
      new_password: 'password after',
    })
    expect(changed.status).toBe(200)
    expect((await before.call('GET', '/models')).status).toBe(401)
    expect((await (await signIn(platform.url, 'careful', 'password after')).call('GET', '/models')).status).toBe(200)
  })
})

describe('API keys', () => {
  const Key = z.object({ id: z.string(), api_key: z.string() })
  const newKey = async (policy: object | undefined, role = 'admin') => {
    const { status, body } = await platform.call('POST', '/api-keys', { name: 'key', role, ...(policy && { policy }) })
    expect(status, JSON.stringify(body)).toBe(200)
    const { id, api_key } = Key.parse(body)
    return { id, ...callerWith(platform.url, api_key) }
  }
  const actions = [...new Set(protectedRows.map((row) => row.action))]

  /** A key with a policy could shed it by making users or other keys, and a key has no password. */
  const administers = /^(auth|users|organizations|api-keys):write$/

  it.each(actions)('of the action %s do that and nothing else', async (action) => {
    const key = await newKey({ actions: [action] })
    for (const row of protectedRows) {
      const seen = await ask(key, row)
      if (row.action === action && administers.test(action)) expect(seen.status, row.id).not.toBe(200)
      else if (row.action === action) expect(String(seen.code), row.id).not.toMatch(/^(forbidden|policy_denied)$/)
      else expect(seen, row.id).toEqual({ status: 403, code: 'policy_denied' })
    }
  })
  it('of one resource reach that one only', async () => {
    const key = await newKey({ resources: [`deployments/${deployment_id}`] })
    for (const row of protectedRows) {
      const there = row.path.startsWith('/deployments/{deployment_id}') && row.method === 'GET' && row.id !== 'infer-get'
      if (there) expect((await ask(key, row, { deployment_id })).status, row.id).toBe(200)
      expect(await ask(key, row, {}), row.id).toEqual({ status: 403, code: 'policy_denied' })
    }
    const infer = await key.call('POST', `/deployments/${deployment_id}/inference`, { inputs: [[1, 2, 3, 4]] })
    expect(infer.status).toBe(200)
  })
  it.each([
    ['10.0.0.0/8', 403],
    ['::/0', 403],
    ['127.0.0.0/8', 200],
    ['::ffff:127.0.0.0/104', 200],
  ])('for %s answer %i from 127.0.0.1, whatever a header claims', async (cidr, wanted) => {
    const key = await newKey({ source_cidrs: [cidr] })
    const claimed = { 'x-forwarded-for': '10.1.1.1', forwarded: 'for=10.1.1.1', 'x-real-ip': '10.1.1.1' }
    expect((await key.call('GET', '/models', undefined, claimed)).status).toBe(wanted)
  })
  it('end when they say, also in the seconds an answer is remembered', async () => {
    const key = await newKey({ expires_at: new Date(Date.now() + 700).toISOString() })
    expect((await key.call('GET', '/models')).status).toBe(200)
    await new Promise((resolve) => setTimeout(resolve, 800))
    const { status, body } = await key.call('GET', '/models')
    expect([status, Code.parse(body).code]).toEqual([401, 'token_expired'])
  })
  it('that are revoked are nobody at once', async () => {
    const key = await newKey(undefined)
    expect((await key.call('GET', '/models')).status).toBe(200)
    expect((await platform.call('DELETE', `/api-keys/${key.id}`)).status).toBe(200)
    expect((await key.call('GET', '/models')).status).toBe(401)
    expect(
      (await callerWith(platform.url, undefined).call('GET', '/models', undefined, { 'x-api-key': key.credential })).status,
    ).toBe(401)
  })
  it('make no key that may more than they may', async () => {
    const key = await newKey({ actions: ['api-keys:*'] })
    const made = await key.call('POST', '/api-keys', { name: 'stronger', role: 'admin' })
    if (made.status === 200) {
      const stronger = callerWith(platform.url, Key.parse(made.body).api_key)
      expect((await stronger.call('GET', '/users')).status).toBe(403)
    } else expect(made.status).toBe(403)
  })
})

describe('guessing passwords', () => {
  it('slows down, for a name that is none as for one that is', async () => {
    for (const username of ['the-viewer', 'nobody-at-all']) {
      const statuses: number[] = []
      for (let turn = 0; turn < 12; turn++) {
        const answer = await callerWith(platform.url, undefined).call('POST', '/auth/token', {
          username,
          password: `wrong ${turn}`,
        })
        statuses.push(answer.status)
        if (answer.status === 429) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      }
      expect(statuses[0]).toBe(401)
      expect(statuses.at(-1)).toBe(429)
    }
  })
})
