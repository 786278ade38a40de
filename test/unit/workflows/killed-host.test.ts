import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('../../support/workflow-host.ts', import.meta.url))

const host = (home: string, hang = '') =>
  spawn(process.execPath, [script, join(home, 'records.sqlite'), join(home, 'trace'), hang], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })

const firstLine = async (child: ReturnType<typeof host>): Promise<string> => {
  for await (const chunk of child.stdout ?? []) return String(chunk).trim()
  throw new Error('the host said nothing')
}

test.each([
  'first',
  'build:2',
  'measure:3',
  'last',
  'clean',
])('a host killed in %s is succeeded by one that repeats only that step', async (hang) => {
  const home = mkdtempSync(join(tmpdir(), 'workflows-'))
  try {
    const first = host(home, hang)
    expect(await firstLine(first)).toBe('hanging')
    first.kill('SIGKILL')
    await once(first, 'exit')
    const second = host(home)
    const status: unknown = JSON.parse(await firstLine(second))
    await once(second, 'exit')
    expect(status).toMatchObject({ state: 'succeeded', output: { model_id: 'mod_1', count: 3 } })
    const trace = readFileSync(join(home, 'trace'), 'utf8').trim().split('\n')
    const all = ['first', 'build:1', 'measure:1', 'build:2', 'measure:2', 'build:3', 'measure:3', 'last', 'clean']
    expect(trace).toEqual(all.flatMap((name) => (name === hang ? [name, name] : [name])))
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})
