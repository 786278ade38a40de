import { execFile } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { buildFunctions } from '../../bin/build.ts'
import { units } from '../../lib/units.ts'
import { createRecordsTable, dynamoClient, type Emulator, startDynalite } from '../support/emulators.ts'

const root = join(import.meta.dirname, '../..')
let folder: string
let dynamodb: Emulator

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aideploy-dist-'))
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  await buildFunctions(join(folder, 'dist'))
  dynamodb = await startDynalite()
  await createRecordsTable(dynamoClient(dynamodb.endpoint), 'records')
})
afterAll(async () => {
  await dynamodb.stop()
  await rm(folder, { recursive: true, force: true })
})

const Result = z.object({ statusCode: z.number(), body: z.string() })

/** Runs a bundle as Lambda would: a process of its own, the environment of `lib/constructs/platform-function.ts`, one event. */
const invoke = async (unit: string, method: string, resource: string): Promise<z.infer<typeof Result>> => {
  const event = {
    httpMethod: method,
    resource,
    path: resource,
    headers: {},
    body: method === 'POST' ? '{"username":"a","password":"b"}' : null,
    requestContext: { requestId: 'req_1', identity: { sourceIp: '192.0.2.1' } },
  }
  const script = `
    globalThis.awslambda = { streamifyResponse: (handler) => handler, HttpResponseStream: { from: (stream) => stream } }
    const { handler } = await import(${JSON.stringify(join(folder, 'dist', `${unit}.mjs`))})
    process.stdout.write('\\n' + JSON.stringify(await handler(${JSON.stringify(event)}, {})))`
  const env = {
    PATH: process.env.PATH,
    AIDEPLOY_TABLE: 'records',
    AIDEPLOY_BUCKET: 'artifacts',
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
    AWS_ENDPOINT_URL_DYNAMODB: dynamodb.endpoint,
  }
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env })
  return Result.parse(
    JSON.parse(
      stdout
        .trim()
        .split('\n')
        .findLast((line) => line.includes('"statusCode"')) ?? '',
    ),
  )
}

describe('the bundles', () => {
  it('are one file per unit beside shared chunks, far below what Lambda takes', () => {
    for (const { name } of units) expect(existsSync(join(folder, 'dist', `${name}.mjs`)), name).toBe(true)
    const bytes = readdirSync(join(folder, 'dist'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .reduce((total, entry) => total + statSync(join(entry.parentPath, entry.name)).size, 0)
    expect(bytes).toBeLessThan(5_000_000)
  })

  it('answer health from DynamoDB', async () => {
    const { statusCode, body } = await invoke('platform', 'GET', '/health')
    expect({ statusCode, body: JSON.parse(body) }).toMatchObject({ statusCode: 200, body: { status: 'ok' } })
  })

  it('describe the API', async () => {
    const { statusCode, body } = await invoke('platform', 'GET', '/openapi.json')
    expect({ statusCode, openapi: JSON.parse(body).openapi }).toEqual({ statusCode: 200, openapi: '3.1.0' })
  })

  it('say which port AWS does not have yet, instead of half working', async () => {
    const { statusCode, body } = await invoke('auth', 'POST', '/auth/token')
    expect({ statusCode, body: JSON.parse(body) }).toMatchObject({
      statusCode: 501,
      body: { code: 'port_unavailable', port: 'identity' },
    })
  })
})
