import { createLocalJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type AuthRouteId, authReplies } from '../support/auth-replies.ts'
import { type Answer, type Platform, startPlatform } from '../support/platform.ts'

const password = 'a long enough one'
let platform: Platform
const secrets_seen: string[] = []

beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(async () => {
  await platform?.stop()
  await platform?.remove()
})

/** Calls with other credentials than the admin's, or none. */
const call = async (method: string, path: string, headers: Record<string, string>, body?: unknown): Promise<Answer> => {
  const init =
    body === undefined
      ? { method, headers }
      : { method, headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const reply = await fetch(`${platform.url}${path}`, init)
  return { status: reply.status, headers: reply.headers, body: JSON.parse(await reply.text()) }
}
const bearer = (credential: string) => ({ authorization: `Bearer ${credential}` })

/** The body of a 200, held against the schema of its row: no member more, none less. */
const answered = <Id extends AuthRouteId>(id: Id, answer: Answer): z.output<(typeof authReplies)[Id]> => {
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return authReplies[id].parse(answer.body) as z.output<(typeof authReplies)[Id]>
}
const problem = (answer: Answer) => ({ status: answer.status, code: z.looseObject({ code: z.string() }).parse(answer.body).code })

const signIn = async (username: string, secret = password): Promise<string> => {
  const { token } = answered('issue-token', await call('POST', '/auth/token', {}, { username, password: secret }))
  secrets_seen.push(token)
  return token
}
const makeKey = async (body: object): Promise<{ id: string; api_key: string }> => {
  const key = answered('create-api-key', await platform.call('POST', '/api-keys', body))
  secrets_seen.push(key.api_key)
  return key
}

describe('signing in', () => {
  it('answers a token that the published keys verify', async () => {
    const { token, expires_at } = answered(
      'issue-token',
      await call('POST', '/auth/token', {}, { username: 'admin', password: platform.password }),
    )
    secrets_seen.push(token)
    expect(Date.parse(expires_at)).toBeGreaterThan(Date.now() + 3_500_000)
    const { keys } = answered('get-jwks', await call('GET', '/.well-known/jwks.json', {}))
    const checked = await jwtVerify(token, createLocalJWKSet({ keys: keys.map((key) => ({ kty: 'EC', ...key })) }), {
      algorithms: ['ES256'],
    })
    expect(checked.payload.preferred_username).toBe('admin')
    expect(answered('get-me', await call('GET', '/auth/me', bearer(token)))).toMatchObject({
      kind: 'user',
      name: 'admin',
      role: 'admin',
      policy: null,
    })
  })

  it('refuses alike whatever is wrong', async () => {
    const wrong = await call('POST', '/auth/token', {}, { username: 'admin', password: 'wrong' })
    const unknown = await call('POST', '/auth/token', {}, { username: 'nobody', password: 'wrong' })
    expect([problem(wrong), problem(unknown)]).toEqual(Array(2).fill({ status: 401, code: 'unauthenticated' }))
    expect(problem(await call('POST', '/auth/token', {}, { username: 'admin' }))).toEqual({
      status: 422,
      code: 'invalid_request',
    })
    expect(problem(await call('GET', '/auth/me', {}))).toEqual({ status: 401, code: 'unauthenticated' })
    expect(problem(await call('GET', '/auth/me', bearer('nonsense')))).toEqual({ status: 401, code: 'unauthenticated' })
  })

  it('slows failures down with Retry-After', async () => {
    const guess = () => call('POST', '/auth/token', {}, { username: 'guessed', password: 'wrong' })
    for (let tried = 0; tried < 10; tried += 1) expect((await guess()).status).toBe(401)
    const answer = await guess()
    expect(problem(answer)).toEqual({ status: 429, code: 'rate_limited' })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  })
})

describe('users', () => {
  it('are made, listed, changed and removed by admins', async () => {
    const user = answered('create-user', await platform.call('POST', '/users', { username: 'bo', password }))
    expect(user.role).toBe('viewer')
    const token = await signIn('bo')
    expect(problem(await call('GET', '/users', bearer(token)))).toEqual({ status: 403, code: 'forbidden' })
    expect(answered('list-organizations', await call('GET', '/organizations', bearer(token)))).toHaveLength(1)
    expect(answered('list-users', await platform.call('GET', '/users')).map(({ username }) => username)).toContain('bo')
    expect(answered('update-user', await platform.call('PATCH', `/users/${user.id}`, { role: 'admin' })).role).toBe('admin')
    expect((await call('GET', '/users', bearer(token))).status).toBe(200)
    expect(
      answered(
        'change-password',
        await call('POST', '/auth/password', bearer(token), { current_password: password, new_password: 'one that is new' }),
      ),
    ).toHaveProperty('message')
    expect(problem(await call('GET', '/auth/me', bearer(token)))).toEqual({ status: 401, code: 'unauthenticated' })
    const renewed = await signIn('bo', 'one that is new')
    answered('delete-user', await platform.call('DELETE', `/users/${user.id}`))
    expect(problem(await call('GET', '/auth/me', bearer(renewed)))).toEqual({ status: 401, code: 'unauthenticated' })
    expect(problem(await platform.call('DELETE', `/users/${user.id}`))).toEqual({ status: 404, code: 'not_found' })
    expect(problem(await platform.call('POST', '/users', { username: 'ADMIN', password }))).toEqual({
      status: 409,
      code: 'conflict',
    })
    expect(problem(await platform.call('POST', '/users', { username: 'short', password: 'short' }))).toEqual({
      status: 422,
      code: 'invalid_request',
    })
  })
})

describe('organisations', () => {
  it('are made by operators, and do not see each other', async () => {
    const body = { name: 'Other', admin: { username: 'ada', password } }
    const made = answered('create-organization', await platform.call('POST', '/organizations', body))
    const ada = bearer(await signIn('ada'))
    expect(answered('list-organizations', await call('GET', '/organizations', ada)).map(({ id }) => id)).toEqual([made.id])
    expect(answered('list-organizations', await platform.call('GET', '/organizations'))).toHaveLength(2)
    expect(problem(await call('POST', '/organizations', ada, { name: 'Third', admin: { username: 'eve', password } }))).toEqual({
      status: 403,
      code: 'forbidden',
    })
    const me = answered('get-me', await platform.call('GET', '/auth/me'))
    const key = await makeKey({ name: 'ours' })
    for (const [method, path, id] of [
      ['DELETE', '/users', me.id],
      ['PATCH', '/users', me.id],
      ['DELETE', '/api-keys', key.id],
    ] as const) {
      const sent = method === 'PATCH' ? { role: 'viewer' } : undefined
      const foreign = await call(method, `${path}/${id}`, ada, sent)
      const unknown = await call(method, `${path}/nobody`, ada, sent)
      const told = ({ body: told_body }: Answer, asked: string) =>
        JSON.stringify({ ...z.looseObject({}).parse(told_body), request_id: '' }).replaceAll(asked, 'X')
      expect(foreign.status).toBe(404)
      expect(told(foreign, id)).toBe(told(unknown, 'nobody'))
    }
    expect(problem(await call('DELETE', `/users/${made.admin.id}`, ada))).toEqual({ status: 409, code: 'conflict' })
  })
})

describe('API keys', () => {
  it('are shown once, work in either header, and end when revoked', async () => {
    const { id, api_key } = await makeKey({ name: 'ci', role: 'viewer' })
    for (const headers of [bearer(api_key), { 'x-api-key': api_key }])
      expect(answered('get-me', await call('GET', '/auth/me', headers))).toMatchObject({ kind: 'api_key', id, role: 'viewer' })
    const listed = await platform.call('GET', '/api-keys')
    expect(answered('list-api-keys', listed).find((key) => key.id === id)?.last_used_at).not.toBeNull()
    expect(JSON.stringify(listed.body)).not.toContain(api_key)
    expect(problem(await call('GET', '/users', bearer(api_key)))).toEqual({ status: 403, code: 'forbidden' })
    answered('revoke-api-key', await platform.call('DELETE', `/api-keys/${id}`))
    expect(problem(await call('GET', '/auth/me', bearer(api_key)))).toEqual({ status: 401, code: 'unauthenticated' })
  })

  it('do what their policy allows and nothing else', async () => {
    const me = async (policy: object) => {
      const { api_key } = await makeKey({ name: 'bound', role: 'admin', policy })
      return problemOrStatus(await call('GET', '/auth/me', bearer(api_key)))
    }
    expect(await me({ actions: ['auth:read'], resources: ['auth/*'], source_cidrs: ['127.0.0.0/8', '::1/128'] })).toBe(200)
    expect(await me({ actions: ['models:*'] })).toBe('policy_denied')
    expect(await me({ resources: ['models/*'] })).toBe('policy_denied')
    expect(await me({ source_cidrs: ['192.0.2.0/24'] })).toBe('policy_denied')
    expect(await me({ expires_at: '2020-01-01T00:00:00Z' })).toBe('token_expired')
    const { api_key } = await makeKey({ name: 'bound', role: 'admin', policy: { actions: ['api-keys:*', 'users:*'] } })
    expect(problem(await call('POST', '/api-keys', bearer(api_key), { name: 'free' }))).toEqual({
      status: 403,
      code: 'policy_denied',
    })
    expect(problem(await call('POST', '/users', bearer(api_key), { username: 'free', password }))).toEqual({
      status: 403,
      code: 'policy_denied',
    })
    expect(problem(await platform.call('POST', '/api-keys', { name: 'odd', policy: { source_cidrs: ['10.0.0.0/99'] } }))).toEqual(
      { status: 422, code: 'invalid_request' },
    )
  })
})

const problemOrStatus = (answer: Answer): number | string => (answer.status === 200 ? 200 : problem(answer).code)

describe('the log of all this', () => {
  it('holds no password, token or key', () => {
    const printed = platform.output()
    expect(printed).toContain('"route":"issue-token"')
    for (const secret of [platform.password, password, 'one that is new', ...secrets_seen]) expect(printed).not.toContain(secret)
    expect(secrets_seen.length).toBeGreaterThan(8)
  })
})
