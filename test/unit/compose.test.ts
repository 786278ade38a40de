import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { diskArtifacts } from '../../layers/artifacts/disk.ts'
import { newId } from '../../layers/compose/ids.ts'
import { jsonLog } from '../../layers/compose/json-log.ts'
import { readSettings } from '../../layers/compose/settings.ts'
import { isPlatformError } from '../../layers/core/contract/errors.ts'
import type { App } from '../../layers/core/ports/app.ts'
import { deployerOf } from '../../layers/core/usecases/check-deployable.ts'

describe('ids', () => {
  it('sort by time, also within one millisecond, and are never the same', () => {
    const now_ms = Date.now()
    const made = Array.from({ length: 20_000 }, (_, at) => newId('mod', now_ms + Math.floor(at / 7000)))
    expect(made).toEqual(made.toSorted())
    expect(new Set(made).size).toBe(made.length)
  })

  it('are a prefix and a UUIDv7 without dashes', () => {
    expect(newId('dep', Date.now())).toMatch(/^dep_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/)
  })
})

describe('settings', () => {
  it('have the documented defaults, and take an empty variable for an absent one', () => {
    expect(readSettings({ PORT: '', AIDEPLOY_HOME: '' })).toMatchObject({
      PORT: 3000,
      HOST: '127.0.0.1',
      AIDEPLOY_MAX_UPLOAD_BYTES: 5_000_000_000,
      AIDEPLOY_WAKE_WAIT_MS: 20_000,
      AIDEPLOY_EXTENSIONS: [],
    })
    expect(readSettings({}).AIDEPLOY_HOME).toMatch(/\/\.aideploy$/)
  })

  it('name the variable, what it got and what was wanted, but never a password', () => {
    expect(() => readSettings({ PORT: 'http' })).toThrow(/PORT=http: .*number/i)
    expect(() => readSettings({ AIDEPLOY_PUBLIC_URL: 'ftp://x' })).toThrow(/AIDEPLOY_PUBLIC_URL=ftp:\/\/x/)
    for (const [name, value] of Object.entries({
      AIDEPLOY_ADMIN_PASSWORD: 'canary',
      AIDEPLOY_SMTP_URL: 'http://user:canary@mail.example',
    }))
      try {
        readSettings({ [name]: value })
        expect.unreachable()
      } catch (error) {
        expect(String(error)).toContain(name)
        expect(String(error)).not.toContain('canary')
      }
  })
})

describe('the log', () => {
  it('writes one JSON line per call, in order, and holds nothing back when flushed', () => {
    const written: string[] = []
    const log = jsonLog({ write: (text) => written.push(text) })
    log.info('request', { route: 'get-health', status: 200 })
    log.error('request', { detail: 'line\nbreak' })
    log.flush()
    const lines = written
      .join('')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines).toMatchObject([
      { level: 'info', event: 'request', route: 'get-health', status: 200 },
      { level: 'error', event: 'request', detail: 'line\nbreak' },
    ])
  })
})

describe('the AWS composition', () => {
  const ports = [
    'workflows',
    'inspector',
    'identity',
    'secrets',
    'mail',
    'events',
    'deployers',
    'optimizers',
    'workbench',
    'prices',
    'meter',
  ] as const

  it('has every port, and says which variable it lacks when one is used that this function was not told of', async () => {
    Object.assign(process.env, { AIDEPLOY_TABLE: 'records', AIDEPLOY_BUCKET: 'artifacts' })
    const { app }: { app: App } = await import('../../layers/compose/aws.ts')
    expect(Object.keys(app.records)).toEqual(['get', 'query', 'write'])
    for (const port of ports) expect(app[port], port).toBeDefined()
    const uses: [string, () => Promise<unknown>, string][] = [
      ['workflows', () => app.workflows.start('drive-transition', 'trn_1', {}), 'AIDEPLOY_MACHINE_ARN_PREFIX'],
      ['identity', () => app.identity.publicKeys(), 'AIDEPLOY_USER_POOL_ID'],
      ['secrets', () => app.secrets.get('name'), 'AIDEPLOY_SECRETS_PREFIX'],
      ['mail', () => app.mail.send({ to: ['a@example.org'], subject: 's', text: 't' }), 'AIDEPLOY_MAIL_FROM'],
      ['events', () => app.events.publish([]), 'AIDEPLOY_EVENT_BUS'],
      ['deployers', () => deployerOf(app, 'serverless').sweep?.(async () => true) ?? Promise.resolve(), 'AIDEPLOY_ACCOUNT'],
    ]
    for (const [port, use, variable] of uses) {
      const thrown: unknown = await use().catch((error: unknown) => error)
      expect(isPlatformError(thrown, 'port_unavailable') && thrown.message, port).toContain(variable)
    }
  })

  it('wraps every verb of the artifacts', async () => {
    const { app }: { app: App } = await import('../../layers/compose/aws.ts')
    const root = mkdtempSync(join(tmpdir(), 'verbs-'))
    const embedded = diskArtifacts({ root, now: () => new Date(), sign_key: Buffer.alloc(32), public_url: () => '' })
    const here_only = ['receivePart', 'sweepUploads']
    expect(Object.keys(app.artifacts).sort()).toEqual(
      Object.keys(embedded)
        .filter((verb) => !here_only.includes(verb))
        .sort(),
    )
  })
})
