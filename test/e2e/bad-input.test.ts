import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type RouteId, routeRows } from '../../layers/core/contract/routes.ts'
import { denseModel } from '../support/models.ts'
import { type Answer, faults, type Platform, startPlatform } from '../support/platform.ts'
import { unresolved } from '../support/raw-http.ts'
import { fill, plainBodies, variables, wrongValues } from '../support/wrong-values.ts'

/** Whatever a caller sends, over the real host: a 4xx that names what was wrong, never a 5xx, never a dead process. */

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(async () => {
  expect(platform.process.exitCode).toBeNull()
  expect(faults(platform)).toEqual([])
  await platform.stop()
  await platform.remove()
})

const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
  code: z.string(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })),
  request_id: z.string(),
})
const InferenceError = z.looseObject({ error: z.string(), code: z.string() })

/** 400–499 with the body its surface promises. */
const refused = (answer: Answer, what: string): void => {
  expect(answer.status, `${what}: ${JSON.stringify(answer.body)}`).toBeGreaterThanOrEqual(400)
  expect(answer.status, `${what}: ${JSON.stringify(answer.body)}`).toBeLessThan(500)
  expect(z.union([Problem, InferenceError]).safeParse(answer.body).error, what).toBeUndefined()
}

const rowsWithBody = routeRows.filter((row) => row.body !== undefined && row.surface === 'platform')

/** The body exactly as given. */
const send = async (method: string, path: string, body: string | Uint8Array | undefined, type = 'application/json') => {
  const reply = await fetch(`${platform.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${await platform.token()}`, ...(body === undefined ? {} : { 'content-type': type }) },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
  })
  const text = await reply.text()
  const is_json = /json/.test(reply.headers.get('content-type') ?? '')
  return { status: reply.status, headers: reply.headers, body: is_json ? JSON.parse(text) : text }
}

describe('every member of every body, once with a wrong type', () => {
  const cases = rowsWithBody.flatMap((row) =>
    wrongValues(row.body ?? z.never()).map(({ pointer, body }) => [row.id, pointer, row.method, row.path, body] as const),
  )
  it('covers every row that takes a body', () => {
    expect(new Set(cases.map(([id]) => id)).size).toBe(rowsWithBody.length)
    expect(cases.length).toBeGreaterThan(60)
  })
  it.each(cases)('%s %s', async (_id, pointer, method, path, body) => {
    const answer = await platform.call(method, fill(path, {}), body)
    expect(answer.status, JSON.stringify(answer.body)).toBe(422)
    const { code, errors } = Problem.parse(answer.body)
    expect(code).toBe('invalid_request')
    expect(errors.map((error) => error.pointer)).toContain(pointer)
  })
})

describe('every query parameter, once with a wrong value', () => {
  const Shape = z.object({ properties: z.record(z.string(), z.unknown()) })
  const cases = routeRows
    .filter((row) => row.query !== undefined && row.role !== 'signed_url')
    .flatMap((row) => {
      const { properties } = Shape.parse(z.toJSONSchema(row.query ?? z.never(), { io: 'input', unrepresentable: 'any' }))
      return Object.keys(properties).map((name) => [row.id, name, fill(row.path, {})] as const)
    })
  it.each(cases)('%s ?%s', async (_id, name, path) => {
    for (const value of ['-1', '%00', '9'.repeat(400), '..%2f..%2f', '%F0%9F%92%A5', 'NaN', '1e9']) {
      const answer = await platform.call('GET', `${path}?${name}=${value}`)
      expect([200, 400, 404, 422], `${value}: ${JSON.stringify(answer.body)}`).toContain(answer.status)
      if (answer.status === 422) expect(Problem.parse(answer.body).errors[0]?.pointer).toMatch(new RegExp(`^query/${name}$`))
    }
    refused(await platform.call('GET', `${path}?${name}=1&${name}=2`), 'repeated')
  })
})

describe('bodies that are no JSON objects', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  const bodies: [string, string | Uint8Array][] = [
    ['nothing', ''],
    ['half an object', '{"name": "x"'],
    ['two objects', '{}{}'],
    ['null', 'null'],
    ['an array', '[]'],
    ['a string', '"name"'],
    ['a number beyond the range', '{"name": 1e999}'],
    ['a key twice', '{"name":"a","name":"b"}'],
    ['a key twice, once escaped', '{"name":"a","n\\u0061me":"b"}'],
    ['a __proto__ key', '{"__proto__":{"role":"admin"}}'],
    ['100,000 brackets', deep],
    ['100,000 brackets inside a member', `{"metadata":${deep}}`],
    ['a NUL', '{"name":"\u0000"}'],
    ['bytes that are no UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d)],
    ['a byte order mark', Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d)],
    ['UTF-16', Buffer.from('{"name":"x"}', 'utf16le')],
  ]
  it.each(bodies)('%s', async (what, body) => {
    for (const row of rowsWithBody) refused(await send(row.method, fill(row.path, {}), body), `${what} to ${row.id}`)
  })
  it('another media type', async () => {
    for (const row of rowsWithBody)
      expect((await send(row.method, fill(row.path, {}), 'a=b', 'application/x-www-form-urlencoded')).status, row.id).toBe(415)
  })
  it('1 MB and one byte', async () => {
    for (const row of rowsWithBody.filter(({ transfer }) => transfer === 'json')) {
      const answer = await send(row.method, fill(row.path, {}), `"${'x'.repeat(1_048_576)}"`)
      expect([answer.status, Problem.parse(answer.body).code], row.id).toEqual([413, 'payload_too_large'])
    }
  })
})

const hostileSegments = [
  '%2e%2e',
  '..',
  '..%2f..%2f..%2fetc%2fpasswd',
  '%252e%252e%252f',
  '..%5c..%5cwindows',
  '%00',
  'mod_%00',
  '%ef%bc%8e%ef%bc%8e',
  '%e2%80%a5',
  '%E2%80%AE',
  '%ff',
  '%zz',
  '%',
  '__proto__',
  'constructor',
  'a%23b',
  '%23',
  "x'%20or%201%3D1--",
  '%F0%9F%92%A5',
  '*',
  '%20',
  'x'.repeat(4000),
]

/** The path exactly as given. */
const verbatim = async (method: string, path: string, body?: unknown): Promise<Answer> =>
  unresolved(
    platform.url,
    method,
    path,
    { authorization: `Bearer ${await platform.token()}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    body === undefined ? undefined : JSON.stringify(body),
  )

describe('hostile path segments', () => {
  const rows = routeRows.filter((row) => variables(row.path).length > 0)
  it.each(rows.map((row) => [row.method, row.path, row.id] as const))('%s %s', async (method, path, id: RouteId) => {
    for (const name of variables(path))
      for (const segment of hostileSegments) {
        refused(await verbatim(method, fill(path, { [name]: segment }), plainBodies[id]), `${name} = ${segment}`)
      }
  })

  it('answers GET /deployments/%zz', async () => {
    const answer = await verbatim('GET', '/deployments/%zz')
    expect([answer.status, Problem.parse(answer.body).code]).toEqual([400, 'bad_request'])
  })

  it.each([
    '/%2e%2e/%2e%2e/etc/passwd',
    '//models',
    '/models/',
    '/models//',
    '/health/../models',
    '/.env',
    '/docs/..%2f',
    '/%6dodels',
    '/x?%00',
  ])('knows no %s', async (path) => {
    refused(await verbatim('GET', path), path)
  })

  it('names the methods it knows where the method is wrong', async () => {
    const answer = await verbatim('DELETE', '/models')
    expect(answer.status).toBe(405)
    expect(answer.headers.get('allow')).toBe('GET, POST')
  })
})

describe('hostile file names', () => {
  const names = [
    '../../../../tmp/escaped.onnx',
    '..\\..\\escaped.onnx',
    '/etc/passwd',
    'C:\\model.onnx',
    '....//....//x.onnx',
    '%2e%2e%2fx.onnx',
    '\u2025/x.onnx',
    '\uff0e\uff0e/x.onnx',
    'nul\u0000byte.onnx',
    '.',
    '..',
    '',
    ' ',
    'x'.repeat(3000),
    'con.onnx',
    '\u202exnno.onnx',
    '-rf',
    '~/.ssh/authorized_keys',
  ]
  it.each(names.map((name) => [JSON.stringify(name).slice(0, 60), name] as const))('%s', async (_, name) => {
    const before = readdirSync(platform.home).sort()
    const answer = await platform.upload(name, denseModel([4, 2]), { name: 'traveller' })
    if (answer.status !== 200) return refused(answer, name)
    const { storage_path, model_id } = z.object({ storage_path: z.string(), model_id: z.string() }).parse(answer.body)
    expect(storage_path).toMatch(new RegExp(`^models/org_[0-9a-f]+/${model_id}/[A-Za-z0-9_-][A-Za-z0-9._-]*$`))
    expect(readdirSync(platform.home).sort()).toEqual(before)
    const seen = z.object({ file_name: z.string() }).parse((await platform.call('GET', `/models/${model_id}`)).body)
    expect(seen.file_name).not.toMatch(/[/\\\p{Cc}\p{Cf}]|^\./u)
  })
})
