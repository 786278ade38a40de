import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Validator } from '@seriousme/openapi-schema-validator'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type RouteId, routes } from '../../layers/core/contract/routes.ts'
import { denseModel, loopModel } from '../support/models.ts'
import { eventually, faults, type Platform, startPlatform } from '../support/platform.ts'
import { callerWith, echoDeployment, Id, ModelId, reaches } from '../support/tenants.ts'
import { row } from '../support/wrong-values.ts'

/** What starting, running and stopping promise. */

const root = join(import.meta.dirname, '../..')
const run = promisify(execFile)
const folders: string[] = []
const newHome = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'aideploy-host-'))
  folders.push(folder)
  return folder
}
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A start that is expected to fail: its exit code and what it printed. */
const failsToStart = async (env: Record<string, string>): Promise<{ code: number; stderr: string; stdout: string }> => {
  const arguments_ = ['--conditions=embedded', join(root, 'bin/local.ts')]
  const options = { env: { PATH: process.env.PATH ?? '', ...env }, timeout: 20_000 }
  return run(join(root, 'node_modules/.bin/node'), arguments_, options).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code?: number; stdout?: string; stderr?: string }) => ({
      code: error.code ?? -1,
      stdout: error.stdout ?? '',
      stderr: error.stderr ?? '',
    }),
  )
}

describe('a start that cannot be', () => {
  it('on a taken port says so in one line, and makes no password nobody sees', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const home = newHome()
    const failed = await failsToStart({ PORT: String(port), AIDEPLOY_HOME: home })
    other.close()
    expect(failed.code).toBe(1)
    expect(failed.stderr).toBe(`aideploy: 127.0.0.1:${port} is taken by another process; set PORT to a free one\n`)
    const later = await startPlatform({ home, env: { AIDEPLOY_ADMIN_PASSWORD: '' } })
    expect(later.output()).toMatch(/^first start: user admin, password \S+ \(shown once/m)
    await later.stop()
  })
  it.each([
    ['PORT', 'abc'],
    ['PORT', '70000'],
    ['AIDEPLOY_MAX_UPLOAD_BYTES', '-1'],
    ['AIDEPLOY_PUBLIC_URL', 'ftp://x'],
    ['AIDEPLOY_WAKE_WAIT_MS', 'soon'],
    ['AIDEPLOY_ADMIN_PASSWORD', 'short'],
    ['AIDEPLOY_EXTENSIONS', './no-such-file.ts'],
  ])('with %s=%s names the variable in one line', async (name, value) => {
    const failed = await failsToStart({ PORT: '0', AIDEPLOY_HOME: newHome(), [name]: value })
    expect(failed.code).toBe(1)
    expect(failed.stderr.trim().split('\n')).toHaveLength(1)
    expect(failed.stderr).toContain(name === 'AIDEPLOY_EXTENSIONS' ? value : name)
    if (name === 'AIDEPLOY_ADMIN_PASSWORD') expect(failed.stderr).not.toContain(value)
  })
})

describe('the first password', () => {
  it('is shown once, works, and lies nowhere on disk', async () => {
    const home = newHome()
    const first = await startPlatform({ home, env: { AIDEPLOY_ADMIN_PASSWORD: '' } })
    const password = /password (\S+) \(shown once/.exec(first.output())?.[1] ?? 'none'
    const signIn = (url: string, text: string) =>
      callerWith(url, undefined).call('POST', '/auth/token', { username: 'admin', password: text })
    expect((await signIn(first.url, password)).status).toBe(200)
    expect(await first.stop()).toBe(0)
    const seeded = 'seeded too late to count'
    const second = await startPlatform({ home, env: { AIDEPLOY_ADMIN_PASSWORD: seeded } })
    expect(second.output()).not.toContain(password)
    expect(second.output()).toMatch(/AIDEPLOY_ADMIN_PASSWORD seeds the first start only and is not used now/)
    expect((await signIn(second.url, password)).status).toBe(200)
    expect((await signIn(second.url, seeded)).status).toBe(401)
    expect(await second.stop()).toBe(0)
    const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    expect(files.length).toBeGreaterThan(2)
    for (const file of files) {
      const path = join(file.parentPath, file.name)
      expect(readFileSync(path).includes(password), path).toBe(false)
      expect(readFileSync(path).includes(seeded), path).toBe(false)
    }
    expect(statSync(join(home, 'secrets.key')).mode & 0o77).toBe(0)
  })
})

describe('a running host', () => {
  let platform: Platform
  const canary = 'canary-6f1d9c'
  beforeAll(async () => {
    platform = await startPlatform({ password: `${canary}-password` })
  })
  afterAll(async () => {
    await platform.kill()
    await platform.remove()
  })

  it('runs on the pinned Node', async () => {
    const { stdout } = await run(join(root, 'node_modules/.bin/node'), ['--version'])
    const { devDependencies } = z
      .object({ devDependencies: z.object({ node: z.string() }) })
      .parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')))
    expect(stdout.trim()).toBe(`v${devDependencies.node}`)
    const through_npm = await run('npm', ['exec', '--offline', '--', 'node', '--version'], { cwd: root })
    expect(through_npm.stdout.trim()).toBe(`v${devDependencies.node}`)
  })

  it('lets no second one use its folder', async () => {
    const failed = await failsToStart({ PORT: '0', AIDEPLOY_HOME: platform.home })
    expect(failed.code).toBe(1)
    expect(failed.stderr).toMatch(/^aideploy: Another host is using \S+; stop it, or set AIDEPLOY_HOME to another folder\n$/)
    expect((await platform.call('GET', '/models')).status).toBe(200)
  })

  it('describes itself in valid OpenAPI', async () => {
    const { body } = await callerWith(platform.url, undefined).call('GET', '/openapi.json')
    const verdict = await new Validator().validate(z.record(z.string(), z.unknown()).parse(body))
    expect(verdict.errors).toBeUndefined()
    expect(verdict.valid).toBe(true)
  })

  it('answers what its rows promise', async () => {
    const { model_id, deployment_id } = await echoDeployment(platform, { metadata: { note: `${canary}-body` } })
    const user = await platform.call('POST', '/users', { username: 'smoke', password: `${canary}-user` })
    const user_id = Id.parse(user.body).id
    const dense = await platform.upload('dense.onnx', denseModel([64, 64, 8]), { name: 'dense' })
    const dense_id = ModelId.parse(dense.body).model_id
    const started = await platform.call('POST', `/models/${dense_id}/optimize`, { method: 'quantization' })
    const optimized_id = Id.parse(started.body).id
    const calls: [RouteId, string, unknown?][] = [
      ['get-health', '/health'],
      ['get-me', '/auth/me'],
      ['get-jwks', '/.well-known/jwks.json'],
      ['list-organizations', '/organizations'],
      ['list-users', '/users'],
      ['list-users', '/users'],
      ['create-api-key', '/api-keys', { name: 'k', policy: { actions: ['models:read'] } }],
      ['list-api-keys', '/api-keys'],
      ['update-user', `/users/${user_id}`, { role: 'editor' }],
      ['list-models', '/models'],
      ['list-models', '/models?page=1&limit=1'],
      ['list-models', '/models?page_size=1'],
      ['get-model', `/models/${model_id}`],
      ['update-model', `/models/${model_id}`, { metadata: { a: 1 } }],
      ['upload-model', '/models', { name: 'parts', framework: 'onnx', version: '1', size_bytes: 3 }],
      ['list-optimized-models', `/models/${dense_id}/optimized`],
      ['get-optimized-model', `/models/${dense_id}/optimized/${optimized_id}`],
      ['list-deployments', '/deployments'],
      ['get-deployment', `/deployments/${deployment_id}`],
      ['update-deployment', `/deployments/${deployment_id}`, { metadata: { b: 2 } }],
      ['list-revisions', `/deployments/${deployment_id}/revisions`],
      ['rollback-deployment', `/deployments/${deployment_id}/rollback`, { revision: 1 }],
      ['infer', `/deployments/${deployment_id}/inference`, { inputs: [[1, 2, 3, 4]] }],
      ['hibernate-deployment', `/deployments/${deployment_id}/hibernate`],
      ['activate-deployment', `/deployments/${deployment_id}/activate`],
      ['stop-deployment', `/deployments/${deployment_id}/stop`],
      ['analyse-cost', '/analytics/cost'],
      ['analyse-performance', '/analytics/performance'],
      ['forecast-usage', '/analytics/forecast?days=3'],
      ['suggest-changes', '/analytics/suggestions'],
      ['delete-user', `/users/${user_id}`],
      ['delete-deployment', `/deployments/${deployment_id}`],
    ]
    for (const [id, path, body] of calls) {
      const { status, body: reply } = await platform.call(routes[id].method, path, body)
      expect(status, `${id} ${JSON.stringify(reply)}`).toBe(routes[id].status)
      expect(row(id).reply?.safeParse(reply).error?.issues, id).toBeUndefined()
    }
  })

  it('logs one JSON line a request, with no secret and no body in it', async () => {
    await platform.call('POST', '/models', { name: 5, note: `${canary}-wrong` })
    await callerWith(platform.url, `${canary}-token`).call('GET', '/models', undefined, { cookie: `${canary}-cookie` })
    await callerWith(platform.url, undefined).call('POST', '/auth/token', { username: 'x', password: `${canary}-guess` })
    await callerWith(platform.url, undefined).call('GET', `/models?page_token=${canary}-query`)
    const token = await platform.token()
    const { headers } = await platform.call('GET', '/models')
    const id = headers.get('x-request-id') ?? 'none'
    await eventually(
      async () => platform.output(),
      (output) => output.includes(id),
      3000,
    )
    const lines = platform
      .output()
      .trim()
      .split('\n')
      .filter((line) => !/^(ready|sign in|first start)/.test(line))
    const Line = z.looseObject({ time: z.iso.datetime(), level: z.string(), event: z.string() })
    for (const line of lines) expect(Line.safeParse(JSON.parse(line)).success, line).toBe(true)
    expect(lines.filter((line) => line.includes(id))).toHaveLength(1)
    expect(lines.find((line) => line.includes(id))).toMatch(/"route":"list-models","status":200,.*"organization_id":"org_/)
    expect(platform.output()).not.toContain(canary)
    expect(platform.output()).not.toContain(token)
    expect(platform.output()).not.toMatch(/ak_[A-Za-z0-9_-]{20}|eyJ[A-Za-z0-9_-]{20}/)
    expect(faults(platform)).toEqual([])
  })

  it('lets a call in flight finish when it is told to stop, and ends with 0', async () => {
    const uploaded = await platform.upload('loop.onnx', loopModel(false), { name: 'loop' })
    const { model_id } = ModelId.parse(uploaded.body)
    const created = await platform.call('POST', '/deployments', { name: 'loop', model_id, deployment_type: 'serverless' })
    const { id } = Id.parse(created.body)
    await reaches(platform, id, 'active')
    const turns = 1_000_000
    const asked = platform.call('POST', `/deployments/${id}/inference`, { inputs: [turns] })
    await new Promise((resolve) => setTimeout(resolve, 150))
    const stopped = platform.stop()
    expect(await asked).toMatchObject({ status: 200, body: { outputs: [turns] } })
    expect(await stopped).toBe(0)
  })
})
