import { describe, expect, it } from 'vitest'
import { newId } from '../../layers/compose/ids.ts'
import { jsonLog } from '../../layers/compose/json-log.ts'
import { readSettings } from '../../layers/compose/settings.ts'
import { isPlatformError } from '../../layers/core/contract/errors.ts'
import type { App } from '../../layers/core/ports/app.ts'

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

  it('has records and artifacts, and refuses every other port by name', async () => {
    Object.assign(process.env, { AIDEPLOY_TABLE: 'records', AIDEPLOY_BUCKET: 'artifacts' })
    const { app }: { app: App } = await import('../../layers/compose/aws.ts')
    expect(Object.keys(app.records)).toEqual(['get', 'query', 'write'])
    expect(app.artifacts.put).toBeTypeOf('function')
    for (const port of ports) {
      let thrown: unknown
      try {
        void app[port]
      } catch (error) {
        thrown = error
      }
      expect(isPlatformError(thrown, 'port_unavailable'), port).toBe(true)
    }
  })
})
