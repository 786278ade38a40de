import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { faults, type Platform, startPlatform } from '../support/platform.ts'

/** The checklist for a deployed platform, here against the host of one machine: the same routes, the same life of a model. */

const root = join(import.meta.dirname, '../..')
let platform: Platform

beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(async () => {
  await platform.stop()
  await platform.remove()
})

const verify = (args: string[], password: string): Promise<{ code: number | null; output: string }> => {
  const child = spawn(process.execPath, [join(root, 'bin/verify.ts'), ...args], {
    env: { PATH: process.env.PATH ?? '', AIDEPLOY_PASSWORD: password },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 150_000,
  })
  const printed: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => printed.push(String(text)))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output: printed.join('') })))
}

describe('npm run verify:aws', () => {
  it('lives the whole life of a model, says what held, and leaves nothing behind', async () => {
    const { code, output } = await verify(['--url', platform.url, '--patience', '60'], platform.password)
    expect(output).not.toMatch(/^\[ \]/m)
    expect(output.match(/^\[x\]/gm)?.length, output).toBeGreaterThanOrEqual(18)
    expect(output).toMatch(/of \d+ hold, 0 fail/)
    expect(code).toBe(0)
    expect((await platform.call('GET', '/models')).body).toEqual([])
    expect((await platform.call('GET', '/deployments')).body).toEqual([])
    expect(faults(platform)).toEqual([])
  })

  it('fails when something does not hold, and leaves out what depends on it', async () => {
    const { code, output } = await verify(['--url', platform.url], 'wrong')
    expect(code).toBe(1)
    expect(output).toMatch(/^\[x\].*is healthy/m)
    expect(output).toMatch(/^\[ \].*signs in: FAILED, answered 401, wanted 200/m)
    expect(output).toMatch(/^\[-\].*deploys the optimised model: needs optimize/m)
  })

  it('says how it is called', async () => {
    const { code, output } = await verify(['--url', 'not a url'], 'x')
    expect(code).toBe(2)
    expect(output).toContain('usage: npm run verify:aws')
  })
})
