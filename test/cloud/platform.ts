import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
import { principal_fresh_ms } from '../../layers/core/usecases/kept-principals.ts'
import { type Answer, eventually, faults } from '../../test/support/platform.ts'
import { type Cloud, type CloudWishes, startCloud } from './start.ts'

/** The end-to-end suites import this in place of `test/support/platform.ts` when they run a second time, on AWS as far as it fits here. */

export { eventually, faults }

const FirstAdmin = z.object({ generated_password: z.string() })
const Token = z.object({ token: z.string() })
const json = { 'content-type': 'application/json' }
/** What EventBridge Scheduler would start every few minutes or hours. */
const clockwork = ['schedule-hibernate-idle', 'schedule-repair-in-flight', 'schedule-roll-up-usage']
const tick_ms = 3_000

/** `ticks: false`: nothing is started by the clock. */
export const startPlatform = async ({ wishes, ticks = true }: { wishes?: CloudWishes; ticks?: boolean } = {}) => {
  const cloud: Cloud = await startCloud({ ...wishes, context: { rolloutSeconds: '0', ...wishes?.context } })
  const home = await mkdtemp(join(tmpdir(), 'aideploy-cloud-home-'))
  const password = FirstAdmin.parse(await cloud.invoke('first-admin')).generated_password
  let running: Promise<unknown> = Promise.resolve()
  const clock = setInterval(() => {
    if (ticks) running = Promise.allSettled(clockwork.map((unit) => cloud.invoke(unit)))
  }, tick_ms)
  let known: Promise<string> | undefined
  const signIn = async (): Promise<string> => {
    const body = JSON.stringify({ username: 'admin', password })
    const reply = await fetch(`${cloud.url}/auth/token`, { method: 'POST', headers: json, body })
    return Token.parse(await reply.json()).token
  }
  const token = (): Promise<string> => {
    known ??= signIn()
    return known
  }
  const send = async (path: string, init: RequestInit): Promise<Answer> => {
    const headers = { authorization: `Bearer ${await token()}`, ...init.headers }
    const reply = await fetch(`${cloud.url}${path}`, { ...init, headers })
    const text = await reply.text()
    const isJson = /json/.test(reply.headers.get('content-type') ?? '')
    return { status: reply.status, headers: reply.headers, body: isJson ? JSON.parse(text) : text }
  }
  return {
    cloud,
    url: cloud.url,
    home,
    password,
    output: cloud.output,
    process: { exitCode: null },
    token,
    call: (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
      send(path, {
        method,
        headers: { ...(body === undefined ? {} : json), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    upload: (path: string, bytes: Uint8Array, fields: Record<string, string> = {}): Promise<Answer> => {
      const form = new FormData()
      for (const [name, value] of Object.entries({ name: 'model', framework: 'onnx', version: '1.0', ...fields }))
        form.set(name, value)
      form.set('file', new Blob([new Uint8Array(bytes)]), path)
      return send('/models', { method: 'POST', body: form })
    },
    stored: cloud.stored,
    stop: async (): Promise<number | null> => {
      clearInterval(clock)
      await running
      await cloud.stop()
      return 0
    },
    remove: () => rm(home, { recursive: true, force: true }),
  }
}

/** Every instance of a function keeps whom it knows so long; only the one that changed an access forgets at once. */
export const access_settles_ms = principal_fresh_ms

export type Platform = Awaited<ReturnType<typeof startPlatform>>
