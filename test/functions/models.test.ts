import { readdirSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { UploadPlanReply, UploadReply } from '../../layers/core/contract/routes/models.ts'
import { ModelReply, SuggestedOptimization } from '../../layers/core/domain/model.ts'
import { field, file, formBytes, formCall } from '../support/forms.ts'
import { denseModel } from '../support/models.ts'
import { eventually, type Platform, startPlatform } from '../support/platform.ts'

const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
  code: z.string(),
  request_id: z.string(),
})
const model = denseModel([8, 16, 4])
const fields = [field('name', 'digits'), field('framework', 'onnx'), field('version', '1.0')]
let platform: Platform
beforeAll(async () => {
  platform = await startPlatform({ env: { AIDEPLOY_MAX_UPLOAD_BYTES: '20000000' } })
})
afterAll(async () => {
  await platform.stop()
  await platform.remove()
})

const storedFiles = (): string[] =>
  readdirSync(join(platform.home, 'artifacts'), { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
  )
const listed = async () => z.array(ModelReply).parse((await platform.call('GET', '/models')).body)
const refused = async (answer: Promise<{ status: number; body: unknown }>, status: number, code: string) => {
  const { status: got, body } = await answer
  expect([got, Problem.parse(body).code]).toEqual([status, code])
  return body
}
/** Raw HTTP, for what `fetch` would never send. */
const raw = async (headers: Record<string, string>, send: (body: NodeJS.WritableStream & { destroy(): void }) => void) => {
  const authorization = `Bearer ${await platform.token()}`
  return new Promise<{ status: number; body: unknown }>((resolve, reject) => {
    const call = request(`${platform.url}/models`, { method: 'POST', headers: { authorization, ...headers } }, (reply) => {
      let text = ''
      reply.setEncoding('utf8').on('data', (chunk) => (text += chunk))
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, body: JSON.parse(text) }))
    })
    call.on('error', reject)
    send(call)
  })
}
const post = (bytes: Uint8Array) => raw(formCall(bytes).headers, (call) => call.end(bytes))

describe('the models of the reference', () => {
  test('upload, list, get and delete with their documented members, names and types', async () => {
    const uploaded = await platform.upload('digits.onnx', model, { name: 'digits', metadata: '{"key":"value"}' })
    expect(uploaded.status).toBe(200)
    const { model_id, ...reply } = UploadReply.parse(uploaded.body)
    expect(uploaded.body).toMatchObject({
      model_id: expect.any(String),
      name: 'digits',
      framework: 'onnx',
      version: '1.0',
      storage_path: expect.any(String),
      created_at: expect.stringMatching(/^\d{4}-.*Z$/),
    })
    const got = await platform.call('GET', `/models/${model_id}`)
    const documented = {
      id: model_id,
      name: 'digits',
      framework: 'onnx',
      version: '1.0',
      storage_path: reply.storage_path,
      created_at: reply.created_at,
      updated_at: expect.any(String),
      metadata: { key: 'value' },
    }
    expect(got).toMatchObject({ status: 200, body: documented })
    expect(got.body).toMatchObject({
      inspection: { format: 'onnx', operators: { Gemm: 2 }, batchable: true },
      size_bytes: model.byteLength,
    })
    const { suggested_optimizations, ...entry } = z
      .looseObject({ suggested_optimizations: z.array(SuggestedOptimization) })
      .parse(got.body)
    expect((await platform.call('GET', '/models')).body).toEqual([entry])
    expect(suggested_optimizations.map(({ method }) => method)).toContain('quantization')
    expect(await platform.call('DELETE', `/models/${model_id}`)).toMatchObject({
      status: 200,
      body: { message: `Model ${model_id} deleted successfully` },
    })
    await refused(platform.call('GET', `/models/${model_id}`), 404, 'not_found')
    expect(await listed()).toEqual([])
  })

  test('versions of one name live side by side, newest first, in every form of the list', async () => {
    for (const version of ['1', '2', '3']) await platform.upload('v.onnx', model, { name: 'versions', version })
    const versions = async (query: string) => (await platform.call('GET', `/models?name=versions&${query}`)).body
    expect(await versions('')).toMatchObject([{ version: '3' }, { version: '2' }, { version: '1' }])
    expect(await versions('page=2&limit=2')).toMatchObject({
      data: [{ version: '1' }],
      pagination: { page: 2, limit: 2, total: 3, total_pages: 2 },
    })
    const first = z.object({ items: z.array(ModelReply), next_page_token: z.string() }).parse(await versions('page_size=2'))
    expect(await versions(`page_size=2&page_token=${first.next_page_token}`)).toMatchObject({
      items: [{ version: '1' }],
      next_page_token: '',
    })
    await refused(platform.call('GET', `/models?page_token=${first.next_page_token}`), 422, 'invalid_request')
    const [newest] = first.items
    expect((await platform.call('PATCH', `/models/${newest?.id}`, { status: 'inactive' })).body).toMatchObject({
      status: 'inactive',
    })
    expect(await versions('status=active')).toMatchObject([{ version: '2' }, { version: '1' }])
  })
})

test('many uploads and deletions at once keep the counts true', async () => {
  const uploads = await Promise.all(Array.from({ length: 12 }, () => platform.upload('many.onnx', model, { name: 'many' })))
  const ids = uploads.map(({ body }) => UploadReply.parse(body).model_id)
  const deleted = await Promise.all(
    [...ids.slice(0, 6), ...ids.slice(0, 6)].map((id) => platform.call('DELETE', `/models/${id}`)),
  )
  expect(deleted.map(({ status }) => status).toSorted()).toEqual([...Array(6).fill(200), ...Array(6).fill(404)])
  const everything = await listed()
  expect(everything.filter(({ name }) => name === 'many')).toHaveLength(6)
  expect((await platform.call('GET', '/models?page=1')).body).toMatchObject({ pagination: { total: everything.length } })
})

describe('models of other frameworks are stored and described', () => {
  const header = Buffer.from(JSON.stringify({ weight: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] } }))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  const safetensors = Buffer.concat([length, header, Buffer.alloc(24)])

  test('as far as the format tells', async () => {
    const { body } = await platform.upload('weights.safetensors', safetensors, { framework: 'pytorch' })
    expect(body).toMatchObject({
      framework: 'pytorch',
      inspection: { format: 'safetensors', parameter_count: 6 },
      size_bytes: safetensors.length,
    })
  })
  test('and not under the name of ONNX', async () => {
    await refused(platform.upload('weights.safetensors', safetensors, { framework: 'onnx' }), 422, 'invalid_model')
  })
})

describe('what is refused leaves nothing behind', () => {
  let before: string[]
  beforeEach(() => {
    before = storedFiles()
  })
  const expectNothingNew = async () =>
    expect(
      await eventually(
        async () => storedFiles(),
        (files) => files.length === before.length,
        5000,
      ),
    ).toEqual(before)

  test('another media type, a missing field, a broken form', async () => {
    await refused(platform.call('POST', '/models', undefined, { 'content-type': 'text/plain' }), 415, 'unsupported_media_type')
    expect(await refused(post(formBytes([fields[0]!, file(model)])), 422, 'invalid_request')).toMatchObject({
      errors: [{ pointer: '/framework' }, { pointer: '/version' }],
    })
    const whole = formBytes([...fields, file(model)])
    await refused(post(whole.subarray(0, whole.length - 100)), 400, 'malformed_body')
    await expectNothingNew()
  })

  test.each([
    ['text', Buffer.from('hello, I am no model at all'), 'onnx'],
    ['half a model', model.subarray(0, model.length / 2), 'onnx'],
    ['another framework than declared', model, 'pytorch'],
    ['nothing', Buffer.alloc(0), 'onnx'],
  ])('a file that is %s', async (_, bytes, framework) => {
    await refused(platform.upload('model.onnx', bytes, { framework }), 422, 'invalid_model')
    await expectNothingNew()
  })

  test('ten gigabytes by declaration, before they are sent', async () => {
    await refused(
      raw({ ...formCall(model).headers, 'content-length': '10000000000' }, (call) =>
        call.write(formBytes(fields).subarray(0, 50)),
      ),
      413,
      'payload_too_large',
    )
    await refused(post(formBytes([...fields, file(new Uint8Array(20_000_001))])), 413, 'payload_too_large')
    await expectNothingNew()
  })

  test('a client that hangs up in the middle', async () => {
    const whole = formBytes([...fields, file(new Uint8Array(10_000_000))])
    const cut = raw({ ...formCall(whole).headers, 'content-length': String(whole.length) }, (call) => {
      call.write(whole.subarray(0, 5_000_000), () => call.destroy())
    })
    await expect(cut).rejects.toThrow()
    await expectNothingNew()
  })

  test('a caller without a token', async () => {
    const reply = await fetch(`${platform.url}/models`, {
      method: 'POST',
      headers: formCall(model).headers,
      body: new Uint8Array(formBytes([...fields, file(model)])),
    })
    expect(reply.status).toBe(401)
    await expectNothingNew()
  })
})

describe('an upload in parts', () => {
  const bytes = Buffer.concat([model])
  const begin = async (change: object = {}) =>
    UploadPlanReply.parse(
      (
        await platform.call('POST', '/models', {
          name: 'in parts',
          framework: 'onnx',
          version: '1',
          size_bytes: bytes.length,
          ...change,
        })
      ).body,
    )
  /** As any HTTP client would: the signed URL is the only credential. */
  const put = async (url: string, content: Uint8Array = bytes) => fetch(url, { method: 'PUT', body: new Uint8Array(content) })

  test('goes by signed URLs and ends as a model', async () => {
    const plan = await begin()
    await refused(platform.call('GET', `/models/${plan.model_id}`), 404, 'not_found')
    const stored = await put(plan.parts[0]?.url ?? '')
    expect(stored.status).toBe(200)
    const { etag } = z.object({ etag: z.string() }).parse(await stored.json())
    expect(stored.headers.get('etag')).toBe(etag)
    await refused(
      platform.call('POST', `/models/${plan.model_id}/complete`, { parts: [{ number: 1, etag: '"other"' }] }),
      400,
      'upload_incomplete',
    )
    const done = await platform.call('POST', `/models/${plan.model_id}/complete`, { parts: [{ number: 1, etag }] })
    expect(done).toMatchObject({
      status: 200,
      body: { model_id: plan.model_id, name: 'in parts', inspection: { format: 'onnx' } },
    })
    expect(await platform.call('POST', `/models/${plan.model_id}/complete`, { parts: [{ number: 1, etag }] })).toMatchObject({
      status: 200,
      body: done.body,
    })
    expect((await platform.call('GET', `/models/${plan.model_id}`)).status).toBe(200)
  })

  test('refuses a URL that was tampered with, and an announcement that is wrong', async () => {
    const plan = await begin()
    const url = new URL(plan.parts[0]?.url ?? '')
    for (const [name, value] of [
      ['signature', 'x'.repeat(43)],
      ['expires', '9999999999'],
    ] as const) {
      const tampered = new URL(url)
      tampered.searchParams.set(name, value)
      expect([401, 403]).toContain((await put(String(tampered))).status)
    }
    expect((await put(String(url).replace('/parts/1', '/parts/2'))).status).toBeGreaterThanOrEqual(400)
    await refused(
      platform.call('POST', '/models', { name: 'x', framework: 'onnx', version: '1', size_bytes: 0 }),
      422,
      'invalid_request',
    )
    await refused(
      platform.call('POST', '/models', { name: 'x', framework: 'onnx', version: '1', size_bytes: 20_000_001 }),
      413,
      'payload_too_large',
    )
  })
})

test('a host killed in the middle of an upload has forgotten it after its next start', async () => {
  const first = await startPlatform()
  const files = (home: string) =>
    readdirSync(join(home, 'artifacts'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const whole = formBytes([...fields, file(new Uint8Array(10_000_000))])
  const headers = {
    ...formCall(whole).headers,
    authorization: `Bearer ${await first.token()}`,
    'content-length': String(whole.length),
  }
  const call = request(`${first.url}/models`, { method: 'POST', headers }).on('error', () => {})
  call.write(whole.subarray(0, 5_000_000))
  expect(
    await eventually(
      async () => files(first.home).length,
      (count) => count > 0,
    ),
  ).toBeGreaterThan(0)
  await first.kill()
  const second = await startPlatform({ home: first.home })
  try {
    expect(files(second.home)).toEqual([])
    expect((await second.call('GET', '/models')).body).toEqual([])
    expect((await second.call('GET', '/models?page=1')).body).toMatchObject({ statistics: { total: 0 } })
  } finally {
    await second.stop()
    await second.remove()
  }
})
