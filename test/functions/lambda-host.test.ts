import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LambdaFunction } from '../support/lambda-environments.ts'
import { type LambdaHost, startLambda } from '../support/lambda-runtime.ts'

const code = `
  let calls = 0
  const pause = (ms) => new Promise((done) => setTimeout(done, ms))
  export const echo = async (event, context) => ({ event, calls: ++calls, pid: process.pid, left: context.getRemainingTimeInMillis() > 0, told: process.env.TOLD })
  export const fail = async () => { console.log('about to fail'); throw new RangeError('no such row') }
  export const hang = async (event) => { if (event.hang) await pause(60_000); return { calls: ++calls } }
  export const slow = async () => { await pause(150); return process.pid }
  export const die = async () => process.exit(7)
  export const stream = awslambda.streamifyResponse(async (event, stream) => {
    const out = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { 'x-said': String(event.rawPath) } })
    for (const piece of ['one ', 'two ', 'three']) { out.write(piece); await pause(5) }
    if (event.rawPath === '/break') throw new Error('half way')
    out.end()
    await pause(5)
  })`

let folder: string
let host: LambdaHost
const functions = new Map<string, LambdaFunction>()
const facts = (name: string, changes: Partial<LambdaFunction> = {}): LambdaFunction => ({
  ...{ folder, handler: `code.${name}`, environment: {}, timeout_s: 5, memory_mb: 128 },
  ...changes,
})
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lambda-host-'))
  writeFileSync(join(folder, 'code.mjs'), code)
  writeFileSync(join(folder, 'broken.mjs'), `throw new Error('cannot begin')`)
  for (const name of ['echo', 'fail', 'slow', 'die', 'stream']) functions.set(name, facts(name))
  functions.set('hang', facts('hang', { timeout_s: 0.5 }))
  functions.set('broken', facts('broken', { handler: 'broken.handler' }))
  host = await startLambda({ functions, most: 6 })
})
afterAll(async () => {
  await host.stop()
  rmSync(folder, { recursive: true, force: true })
})

const answer = async (name: string, event: unknown = {}) => JSON.parse((await host.invoke(name, event)).payload.toString())

describe('the host of functions', () => {
  it('keeps an environment warm, and makes a new one when the function changes', async () => {
    const first = await answer('echo', { a: [1, 'ü'] })
    expect(first).toMatchObject({ event: { a: [1, 'ü'] }, calls: 1, left: true })
    expect(await answer('echo')).toMatchObject({ calls: 2, pid: first.pid })
    functions.set('echo', facts('echo', { environment: { TOLD: 'new' } }))
    expect(await answer('echo')).toMatchObject({ calls: 1, told: 'new' })
  })

  it('answers what a function fails with, and keeps what it said', async () => {
    expect((await host.invoke('fail', {})).function_error).toEqual({ errorType: 'RangeError', errorMessage: 'no such row' })
    // What it said comes through a pipe of its own, maybe after the answer.
    await expect.poll(() => host.logs('fail')).toContain('about to fail')
    expect((await host.invoke('broken', {})).function_error?.errorMessage).toBe('cannot begin')
    expect((await host.invoke('die', {})).function_error?.errorType).toBe('Runtime.ExitError')
    expect((await host.invoke('nobody', {})).function_error?.errorType).toBe('ResourceNotFoundException')
  })

  it('ends a call at its time limit, and gives the next one a fresh environment', async () => {
    expect(await answer('hang')).toEqual({ calls: 1 })
    expect((await host.invoke('hang', { hang: true })).function_error).toMatchObject({ errorType: 'Sandbox.Timedout' })
    expect(await answer('hang')).toEqual({ calls: 1 })
    expect(host.logs('hang').join()).toContain('Task timed out after 0.50 seconds')
  })

  it('gives every call of its own an environment, as many as there may be; the others wait', async () => {
    const pids = await Promise.all(Array.from({ length: 12 }, () => answer('slow')))
    expect(new Set(pids).size).toBeGreaterThan(1)
    expect(new Set(pids).size).toBeLessThanOrEqual(6)
    expect(host.count('slow')).toBeLessThanOrEqual(6)
  })

  it('streams with status and headers first, and cuts the stream of a function that fails on the way', async () => {
    const { prelude, body } = await host.invokeStream('stream', { rawPath: '/direct' })
    expect(prelude).toEqual({ statusCode: 201, headers: { 'x-said': '/direct' } })
    expect(await text(body)).toBe('one two three')
    const url = await host.url('stream')
    const reply = await fetch(`${url}/over/http?x=1`)
    expect([reply.status, reply.headers.get('x-said'), await reply.text()]).toEqual([201, '/over/http', 'one two three'])
    const broken = await fetch(`${url}/break`)
    expect(broken.status).toBe(201)
    await expect(broken.text()).rejects.toThrow()
  })
})
