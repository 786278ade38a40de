import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { BOUNDARY, field, file, formBytes } from '../support/forms.ts'
import { denseModel } from '../support/models.ts'
import { access_settles_ms, faults, type Platform, startPlatform } from '../support/platform.ts'
import { Id, newOrganization, signIn } from '../support/tenants.ts'

/** `Idempotency-Key` on the writes of the platform. */

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(async () => {
  expect(faults(platform)).toEqual([])
  await platform.stop()
  await platform.remove()
})

const user = (name: string) => ({ username: name, password: 'a long password' })
const withKey = (key: string) => ({ 'idempotency-key': key })

describe('a repeated request', () => {
  it('gets the first answer, and nothing happens twice', async () => {
    const first = await platform.call('POST', '/users', user('once'), withKey('k1'))
    const second = await platform.call('POST', '/users', user('once'), withKey('k1'))
    expect([first.status, second.status]).toEqual([200, 200])
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('idempotency-replayed')).toBe('true')
    expect(first.headers.get('idempotency-replayed')).toBeNull()
    const { body } = await platform.call('GET', '/users')
    expect(
      z
        .array(z.object({ username: z.string() }))
        .parse(body)
        .filter(({ username }) => username === 'once'),
    ).toHaveLength(1)
  })

  it('with another payload, or on another path, is 422', async () => {
    await platform.call('POST', '/users', user('first'), withKey('k2'))
    const mismatch = { status: 422, body: { code: 'idempotency_mismatch' } }
    expect(await platform.call('POST', '/users', user('second'), withKey('k2'))).toMatchObject(mismatch)
    expect(await platform.call('POST', '/api-keys', { name: 'x' }, withKey('k2'))).toMatchObject(mismatch)
  })

  it('while the first runs is 409 with Retry-After; only one of twenty does the work', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => platform.call('POST', '/users', user('together'), withKey('k3'))),
    )
    const fresh = answers.filter(({ status, headers }) => status === 200 && headers.get('idempotency-replayed') === null)
    expect(fresh).toHaveLength(1)
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      expect(answer).toMatchObject({ status: 409, body: { code: 'idempotency_conflict' } })
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    }
    expect(await platform.call('POST', '/users', user('together'), withKey('k3'))).toMatchObject({ status: 200 })
  })

  it('after a failure runs again', async () => {
    const body = { name: 'd', model_id: 'mod_none', deployment_type: 'serverless' }
    const first = await platform.call('POST', '/deployments', body, withKey('k4'))
    const second = await platform.call('POST', '/deployments', body, withKey('k4'))
    expect(first.status).toBe(404)
    expect(second.status).toBe(404)
    expect(second.headers.get('idempotency-replayed')).toBeNull()
    expect((await platform.call('POST', '/users', user('after-failure'), withKey('k4'))).status).toBe(200)
  })

  it('never shows a secret again, nor keeps it', async () => {
    const first = await platform.call('POST', '/api-keys', { name: 'secret' }, withKey('k5'))
    const { api_key } = z.object({ api_key: z.string() }).parse(first.body)
    const second = await platform.call('POST', '/api-keys', { name: 'secret' }, withKey('k5'))
    expect(second).toMatchObject({ status: 409, body: { code: 'idempotency_conflict' } })
    expect(JSON.stringify(second.body)).not.toContain(api_key)
    const { body } = await platform.call('GET', '/api-keys')
    expect(
      z
        .array(z.object({ name: z.string() }))
        .parse(body)
        .filter(({ name }) => name === 'secret'),
    ).toHaveLength(1)
    expect(await platform.stored()).not.toContain(api_key)
  })

  it('of somebody else is another request', async () => {
    const stranger = await newOrganization(platform, 'elsewhere')
    const mine = await platform.call('POST', '/users', user('shared-key'), withKey('k6'))
    const theirs = await stranger.call('POST', '/users', user('shared-key-2'), withKey('k6'))
    expect(theirs.status).toBe(200)
    expect(Id.parse(theirs.body).id).not.toBe(Id.parse(mine.body).id)
    await platform.call('POST', '/users', { ...user('colleague'), role: 'admin' })
    const colleague = await signIn(platform.url, 'colleague', 'a long password')
    expect((await colleague.call('POST', '/users', user('shared-key-3'), withKey('k6'))).status).toBe(200)
  })

  it('is replayed only to who still may ask', async () => {
    const made = await platform.call('POST', '/users', { ...user('demoted'), role: 'admin' })
    const demoted = await signIn(platform.url, 'demoted', 'a long password')
    expect((await demoted.call('POST', '/users', user('by-demoted'), withKey('k7'))).status).toBe(200)
    await platform.call('PATCH', `/users/${Id.parse(made.body).id}`, { role: 'viewer' })
    await delay(access_settles_ms)
    expect((await demoted.call('POST', '/users', user('by-demoted'), withKey('k7'))).status).toBe(403)
  })

  it.each(['', ' ', 'x'.repeat(256), 'two words'])('with the key %j is 400 or no key at all', async (key) => {
    const answer = await platform.call('POST', '/users', user(`key-${key.length}-${key.trim().length}`), withKey(key))
    expect(answer).toMatchObject({ status: 400, body: { code: 'bad_request' } })
  })

  it('uploads once, and announces an upload once', async () => {
    const body = { name: 'm', framework: 'onnx', version: '1', size_bytes: 10 }
    const first = await platform.call('POST', '/models', body, withKey('k8'))
    const second = await platform.call('POST', '/models', body, withKey('k8'))
    expect([first.status, second.status]).toEqual([200, 200])
    expect(second.body).toEqual(first.body)
    const upload = async (bytes: Uint8Array) => {
      const form = formBytes([field('name', 'twice'), field('framework', 'onnx'), field('version', '1'), file(bytes)])
      const reply = await fetch(`${platform.url}/models`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${await platform.token()}`,
          'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
          ...withKey('k9'),
        },
        body: new Uint8Array(form),
      })
      return { status: reply.status, body: await reply.json() }
    }
    expect((await upload(Uint8Array.of(1, 2, 3))).status).toBe(422)
    const model = denseModel([4, 2])
    const uploaded = await upload(model)
    expect(uploaded.status).toBe(200)
    expect(await upload(model)).toEqual(uploaded)
    expect((await upload(denseModel([8, 2]))).status).toBe(422)
    const { body: models } = await platform.call('GET', '/models?name=twice')
    expect(z.array(z.unknown()).parse(models)).toHaveLength(1)
  })
})
