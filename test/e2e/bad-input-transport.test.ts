import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { BOUNDARY, field, file, formBytes } from '../support/forms.ts'
import { denseModel, identityModel } from '../support/models.ts'
import { eventually, faults, type Platform, startPlatform } from '../support/platform.ts'
import { exchange, openSocket, rawRequest } from '../support/raw-http.ts'

/** Requests no client library would send, and clients that go away, against the real host. */

let platform: Platform
let bearer = ''
let deployment_id = ''

beforeAll(async () => {
  platform = await startPlatform()
  bearer = `Authorization: Bearer ${await platform.token()}`
  const uploaded = await platform.upload('echo.onnx', identityModel('FP32', ['batch', 4]))
  const { model_id } = z.object({ model_id: z.string() }).parse(uploaded.body)
  const created = await platform.call('POST', '/deployments', { name: 'echo', model_id, deployment_type: 'serverless' })
  deployment_id = z.object({ id: z.string() }).parse(created.body).id
  await eventually(
    () => platform.call('GET', `/deployments/${deployment_id}`),
    ({ body }) => z.object({ status: z.string() }).parse(body).status === 'active',
  )
})
afterAll(async () => {
  expect(platform.process.exitCode).toBeNull()
  expect(faults(platform)).toEqual([])
  await platform.stop()
  await platform.remove()
})

const stored = (): string[] =>
  readdirSync(join(platform.home, 'artifacts'), { recursive: true, withFileTypes: true })
    .flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []))
    .sort()
const pendingUploads = (): number => {
  const database = new DatabaseSync(join(platform.home, 'records.sqlite'), { readOnly: true })
  const tables = z
    .array(z.object({ name: z.string() }))
    .parse(database.prepare("select name from sqlite_master where type = 'table'").all())
  const table = tables.find(({ name }) => /documents|records/.test(name))?.name ?? 'records'
  const rows = database.prepare(`select sk from ${table} where sk like 'upload#%'`).all()
  database.close()
  return rows.length
}
const works = async (): Promise<void> => expect((await platform.call('GET', '/models')).status).toBe(200)
const model_count = async (): Promise<number> => z.array(z.unknown()).parse((await platform.call('GET', '/models')).body).length

describe('10 GB declared', () => {
  const length = 'Content-Length: 10000000000'
  it.each([
    ['a form', 'POST /models', `Content-Type: multipart/form-data; boundary=${BOUNDARY}`],
    ['an announcement', 'POST /models', 'Content-Type: application/json'],
    ['a JSON body', 'POST /deployments', 'Content-Type: application/json'],
    ['sign-in', 'POST /auth/token', 'Content-Type: application/json'],
    ['inference', 'POST /deployments/ID/inference', 'Content-Type: application/json'],
    ['binary inference', 'POST /deployments/ID/inference/v2/models/echo/infer', 'Content-Type: application/octet-stream'],
  ])('as %s is refused before a byte is read', async (_, line, type) => {
    const { text, statuses } = await exchange(
      platform.url,
      [rawRequest(line.replace('ID', deployment_id), [bearer, type, length])],
      3000,
    )
    expect(statuses, text).toEqual([413])
    expect(text.toLowerCase()).toContain('connection: close')
  })
  it('without end, in chunks, is refused at the limit', async () => {
    const head = rawRequest('POST /deployments', [bearer, 'Content-Type: application/json', 'Transfer-Encoding: chunked'])
    const chunk = `40000\r\n${'x'.repeat(0x40000)}\r\n`
    const { statuses } = await exchange(platform.url, [head, ...Array.from({ length: 8 }, () => chunk)])
    expect(statuses).toEqual([413])
  })
})

describe('what two readers could understand differently', () => {
  const smuggled = 'DELETE /models/mod_1 HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const json = 'Content-Type: application/json'
  it.each<[string, string]>([
    [
      'both lengths (CL.TE)',
      rawRequest('POST /auth/token', [json, 'Content-Length: 6', 'Transfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`),
    ],
    [
      'both lengths (TE.CL)',
      rawRequest('POST /auth/token', [json, 'Transfer-Encoding: chunked', 'Content-Length: 4'], `5c\r\n${smuggled}\r\n0\r\n\r\n`),
    ],
    ['two different lengths', rawRequest('POST /auth/token', [json, 'Content-Length: 2', 'Content-Length: 40'], `{}${smuggled}`)],
    ['a list of lengths', rawRequest('POST /auth/token', [json, 'Content-Length: 2, 2'], `{}${smuggled}`)],
    ['a signed length', rawRequest('POST /auth/token', [json, 'Content-Length: +2'], `{}${smuggled}`)],
    ['a negative length', rawRequest('POST /auth/token', [json, 'Content-Length: -2'], `{}${smuggled}`)],
    ['a hexadecimal length', rawRequest('POST /auth/token', [json, 'Content-Length: 0x2'], `{}${smuggled}`)],
    ['a blank before the colon', rawRequest('POST /auth/token', [json, 'Transfer-Encoding : chunked'], `0\r\n\r\n${smuggled}`)],
    ['an unknown transfer coding', rawRequest('POST /auth/token', [json, 'Transfer-Encoding: xchunked'], `0\r\n\r\n${smuggled}`)],
    [
      'chunked that is not last',
      rawRequest('POST /auth/token', [json, 'Transfer-Encoding: chunked, identity'], `0\r\n\r\n${smuggled}`),
    ],
    [
      'a folded header line',
      rawRequest('POST /auth/token', [json, 'Transfer-Encoding:\r\n chunked', 'Content-Length: 2'], `{}${smuggled}`),
    ],
    ['a chunk size that is none', rawRequest('POST /auth/token', [json, 'Transfer-Encoding: chunked'], `zz\r\n${smuggled}`)],
    [
      'a chunk size beyond 64 bits',
      rawRequest('POST /auth/token', [json, 'Transfer-Encoding: chunked'], `fffffffffffffffff\r\n${smuggled}`),
    ],
    ['a chunk longer than it says', rawRequest('POST /auth/token', [json, 'Transfer-Encoding: chunked'], `1\r\n{}${smuggled}`)],
    ['bare line feeds', `POST /auth/token HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n0\n\n${smuggled}`],
    ['a NUL in a header', rawRequest('GET /health', ['X-A: a\u0000b'], smuggled)],
    ['a carriage return in a header', rawRequest('GET /health', ['X-A: a\rX-B: b'], smuggled)],
    ['no host', `GET /health HTTP/1.1\r\n\r\n`],
    ['no HTTP', `\u0016\u0003\u0001\u0002\u0000\u0001\u0000\r\n\r\n`],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['HTTP/9.9', 'GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n'],
    ['a line break in the path', 'GET /hea\r\nlth HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ])('%s is refused once and the connection ends', async (_, bytes) => {
    const reply = await exchange(platform.url, [bytes])
    expect(reply.statuses.length, reply.text).toBeLessThanOrEqual(1)
    for (const status of reply.statuses) expect(status, reply.text).toBeGreaterThanOrEqual(400)
    expect(reply.ended).toBe(true)
    await works()
  })

  it('headers over 16 KiB are 431', async () => {
    const { text, statuses } = await exchange(platform.url, [rawRequest('GET /health', [`X-Long: ${'x'.repeat(20_000)}`])])
    expect(statuses).toEqual([431])
    const body = z.object({ code: z.string(), request_id: z.string() }).parse(JSON.parse(text.split('\r\n\r\n')[1] ?? ''))
    expect(body.code).toBe('header_too_large')
    const many = Array.from({ length: 4000 }, (_, n) => `X-${n}: y`)
    expect((await exchange(platform.url, [rawRequest('GET /health', many)])).statuses).toEqual([431])
  })

  it('a refused request leaves a log line with the id its answer has', async () => {
    const { text } = await exchange(platform.url, ['no HTTP at all\r\n\r\n'])
    const id = /x-request-id: (\S+)/.exec(text)?.[1] ?? 'none'
    await eventually(
      async () => platform.output(),
      (output) => output.includes(id),
      3000,
    )
    expect(platform.output()).toContain(`"request_id":"${id}"`)
  })
})

describe('half a form', () => {
  const whole = formBytes([
    field('name', 'half'),
    field('framework', 'onnx'),
    field('version', '1'),
    file(denseModel([64, 64, 4])),
  ])
  const head = (length: number): string =>
    rawRequest('POST /models', [
      bearer,
      `Content-Type: multipart/form-data; boundary=${BOUNDARY}`,
      `Content-Length: ${length}`,
      'Connection: close',
    ])

  it.each([
    10,
    150,
    400,
    2000,
    whole.length - 60,
    whole.length - 3,
  ])('that ends after %i bytes is 400 and leaves nothing', async (length) => {
    const before = [stored(), await model_count()]
    const { text, statuses } = await exchange(platform.url, [head(length), whole.subarray(0, length)], 5000)
    expect(statuses, text).toEqual([400])
    expect([stored(), await model_count(), pendingUploads()]).toEqual([...before, 0])
  })

  it('whose client goes away in the middle, thirty times, leaves nothing', async () => {
    const before = stored()
    await Promise.all(
      Array.from({ length: 30 }, async (_, turn) => {
        const socket = await openSocket(platform.url)
        socket.on('error', () => {})
        socket.write(head(whole.length))
        socket.write(whole.subarray(0, 1 + ((turn * 613) % (whole.length - 1))))
        await new Promise((resolve) => setTimeout(resolve, (turn * 7) % 90))
        if (turn % 2 === 0) socket.destroy()
        else socket.resetAndDestroy()
      }),
    )
    await eventually(
      async () => pendingUploads(),
      (left) => left === 0,
      8000,
    )
    expect(pendingUploads()).toBe(0)
    expect(stored()).toEqual(before)
    await works()
  })
})

describe('clients that do not wait for their answer', () => {
  it('change nothing for others', async () => {
    const inputs = JSON.stringify({ inputs: Array.from({ length: 20_000 }, () => [1, 2, 3, 4]) })
    const asking = rawRequest(
      `POST /deployments/${deployment_id}/inference`,
      [bearer, 'Content-Type: application/json', `Content-Length: ${inputs.length}`],
      inputs,
    )
    await Promise.all(
      Array.from({ length: 24 }, async (_, turn) => {
        const socket = await openSocket(platform.url)
        socket.on('error', () => {})
        socket.write(turn % 3 === 0 ? rawRequest('GET /openapi.json').repeat(10) : asking)
        if (turn % 2 === 0) socket.once('data', () => socket.resetAndDestroy())
        setTimeout(() => socket.destroy(), 5 + turn * 11)
        await new Promise((resolve) => socket.once('close', resolve))
      }),
    )
    const answer = await platform.call('POST', `/deployments/${deployment_id}/inference`, { inputs: [[1, 2, 3, 4]] })
    expect(answer).toMatchObject({ status: 200, body: { outputs: [[1, 2, 3, 4]] } })
  })

  it('get pipelined answers in order', async () => {
    const paths = ['/health', '/nothing', '/health', '/models', '/health']
    const { statuses } = await exchange(platform.url, [paths.map((path) => rawRequest(`GET ${path}`)).join('')])
    expect(statuses).toEqual([200, 404, 200, 401, 200])
  })
})
