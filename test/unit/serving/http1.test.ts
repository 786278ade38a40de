import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HttpServer } from '../../../layers/serving/http-server.ts'
import { type HttpRequest, httpReader } from '../../../layers/serving/http1.ts'
import { loopModel } from '../../support/models.ts'
import { servers } from '../../support/serving.ts'

const read = (text: string, step = text.length): { requests: HttpRequest[]; continued: number } => {
  const requests: HttpRequest[] = []
  let continued = 0
  const reader = httpReader(
    { header_bytes: 1000, body_bytes: 1000 },
    (request) => requests.push(request),
    () => {
      continued += 1
    },
  )
  const bytes = Buffer.from(text, 'latin1')
  for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step))
  return { requests, continued }
}
const bodyOf = (request: HttpRequest | undefined): string => Buffer.concat(request?.body ?? []).toString()

describe('request reader', () => {
  const stream =
    'POST /a?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX-A: 1\r\nX-a: 2\r\n\r\nhello' +
    'GET /b HTTP/1.1\r\nHost: h\r\n\r\n' +
    'POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n' +
    'POST /d HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'

  test.each([stream.length, 1, 2, 3, 7, 64])('pipelined requests, cut into pieces of %i', (step) => {
    const { requests } = read(stream, step)
    expect(requests.map(({ method, path, keep_alive }) => [method, path, keep_alive])).toEqual([
      ['POST', '/a', true],
      ['GET', '/b', true],
      ['POST', '/c', true],
      ['POST', '/d', false],
    ])
    expect(requests.map(bodyOf)).toEqual(['hello', '', 'hello world', ''])
    expect(requests[0]?.headers['x-a']).toBe('1, 2')
  })

  test('a repeated head does not repeat the body', () => {
    const one = 'POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n'
    expect(read(`${one}x${one}y`).requests.map(bodyOf)).toEqual(['x', 'y'])
  })

  test('100-continue is asked for once', () => {
    expect(read('POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab').continued).toBe(1)
  })

  test.each([
    ['two lengths', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx', 400],
    [
      'length beside chunked',
      'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['another coding', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 501],
    ['signed length', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx', 400],
    ['space before colon', 'GET / HTTP/1.1\r\nHost : h\r\n\r\n', 400],
    ['folded line', 'GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n', 400],
    ['bare line feed', 'GET / HTTP/1.1\nHost: h\r\n\r\n', 400],
    ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two hosts', 'GET / HTTP/1.1\r\nHost: h\r\nHost: g\r\n\r\n', 400],
    ['NUL in a value', 'GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n', 400],
    ['absolute target', 'GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n', 400],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\n', 505],
    ['long head', `GET / HTTP/1.1\r\nHost: h\r\nX: ${'a'.repeat(2000)}`, 431],
    ['long body', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n', 413],
    ['long chunked body', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFF\r\n', 413],
    ['chunk extension', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n', 400],
    ['chunk without end', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n', 400],
    ['trailer', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n', 400],
  ])('%s is refused', (_case, text, status) => {
    for (const step of [text.length, 1]) expect(() => read(text, step)).toThrow(expect.objectContaining({ status }))
  })
})

describe('server', () => {
  const all = servers()
  let server: HttpServer
  beforeAll(async () => {
    server = await all.serve('loop', loopModel(false), { timeout_ms: 1500 })
  })
  afterAll(() => all.close())

  const raw = (text: string): Promise<string> =>
    new Promise((resolve) => {
      let got = ''
      const socket = connect(server.port, '127.0.0.1', () => socket.write(text))
      socket.on('data', (chunk) => {
        got += chunk.toString()
      })
      socket.on('close', () => resolve(got))
      socket.on('error', () => resolve(got))
    })

  test('a malformed request is answered with 400 and the connection closed', async () => {
    expect(await raw('GET / HTTP/1.1\r\nBad Header: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n.*connection: close/s)
  })

  test('pipelined calls are answered in order', async () => {
    const call = (count: number, last: boolean): string => {
      const body = JSON.stringify({ inputs: [count] })
      return `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n${last ? 'Connection: close\r\n' : ''}\r\n${body}`
    }
    const text = await raw(call(20_000, false) + call(1, false) + call(300, true))
    expect([...text.matchAll(/\{"outputs":\[(\d+)\]\}/g)].map((match) => match[1])).toEqual(['20000', '1', '300'])
  })

  test('health is answered while the model computes without end, and the process is replaced', async () => {
    const stuck = fetch(server.url, { method: 'POST', body: '{"inputs":[1000000000000000]}' })
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await (await fetch(`${server.url}/v2/health/live`)).json()).toEqual({ live: true })
    const reply = await stuck
    expect([reply.status, await reply.json()]).toEqual([
      502,
      { error: expect.stringContaining('did not answer within 1.5 s'), code: 'model_crashed' },
    ])
    for (let i = 0; i < 200 && (await fetch(`${server.url}/v2/health/ready`)).status !== 200; i++)
      await new Promise((resolve) => setTimeout(resolve, 25))
    expect(await (await fetch(server.url, { method: 'POST', body: '{"inputs":[3]}' })).json()).toEqual({ outputs: [3] })
  })
})
