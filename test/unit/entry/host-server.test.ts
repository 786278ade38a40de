import type { Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { hostServer } from '../../../bin/local/server.ts'
import type { RouteHandler } from '../../../functions/entry/http.ts'
import { routeRows } from '../../../layers/core/contract/routes.ts'
import { exchange, rawRequest } from '../../support/raw-http.ts'

/** The listener of the embedded host with short patience and handlers of its own. */

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

const log = { info: () => {}, warn: () => {}, error: () => {} }
const config = { version: '0', public_url: 'http://test', max_upload_bytes: 1, wake_wait_ms: 1, scratch_dir: '/tmp' }
const health = Object.assign(async () => ({ statusCode: 200, headers: {}, body: '{"ok":true}' }), { id: 'get-health' as const })
const token = Object.assign(async () => ({ statusCode: 200, headers: {}, body: '{"read":true}' }), { id: 'issue-token' as const })
const handlers = new Map<string, RouteHandler>([
  ['get-health', health],
  ['issue-token', token],
])

const listening = async (opened?: Promise<void>): Promise<string> => {
  const made = hostServer({ log, config, newId: () => 'req_1' }, routeRows, handlers, opened, {
    headers_ms: 200,
    idle_body_ms: 200,
  })
  server = made
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}`
}

describe('the listener', () => {
  it('answers 408 to headers that never end, and closes', async () => {
    const reply = await exchange(await listening(), ['GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: '], 8000)
    expect(reply).toMatchObject({ statuses: [408], ended: true })
  })

  it('ends a body that stops arriving', async () => {
    const url = await listening()
    const reply = await exchange(
      url,
      [rawRequest('POST /auth/token', ['Content-Length: 100', 'Content-Type: application/json'], '{')],
      8000,
    )
    expect(reply.ended).toBe(true)
    expect(reply.statuses.filter((status) => status < 400)).toEqual([])
  })

  it('keeps a body that arrives slowly', async () => {
    const { port } = new URL(await listening())
    const socket = connect(Number(port), '127.0.0.1')
    const answer = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))))
    socket.write(rawRequest('POST /auth/token', ['Content-Length: 8', 'Content-Type: application/json']))
    for (const letter of '{"a":10}') {
      await new Promise((resolve) => setTimeout(resolve, 100))
      socket.write(letter)
    }
    expect(await answer).toContain('{"read":true}')
    socket.destroy()
  })

  it('lets requests wait until it is opened', async () => {
    const opened = Promise.withResolvers<void>()
    const url = await listening(opened.promise)
    let answered = false
    const asked = fetch(`${url}/health`).then((reply) => {
      answered = true
      return reply.status
    })
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(answered).toBe(false)
    opened.resolve()
    expect(await asked).toBe(200)
  })

  it('writes no refusal into an answer that is on its way', async () => {
    const slow = Promise.withResolvers<void>()
    handlers.set(
      'get-health',
      Object.assign(async () => slow.promise.then(() => ({ statusCode: 200, headers: {}, body: '{}' })), {
        id: 'get-health' as const,
      }),
    )
    const url = await listening()
    const replied = exchange(url, [rawRequest('GET /health'), 'no HTTP at all\r\n\r\n'], 1000)
    setTimeout(() => slow.resolve(), 200)
    expect(await replied).toEqual({ text: '', statuses: [], ended: true })
    handlers.set('get-health', health)
  })

  it('takes a whole URL as request target', async () => {
    const url = await listening()
    const reply = await exchange(url, [rawRequest(`GET ${url}/health`, ['Connection: close'])])
    expect(reply.statuses).toEqual([200])
  })
})
