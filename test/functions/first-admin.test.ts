import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { App } from '../../layers/core/ports/app.ts'

let home: string
let app: App
let handler: typeof import('../../functions/entry/first-admin.ts').handler
const logged: string[] = []

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'first-admin-'))
  process.env.AIDEPLOY_HOME = home
  app = (await import('#app')).app
  handler = (await import('../../functions/entry/first-admin.ts')).handler
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      logged.push(String(text))
      return true
    })
})
afterAll(() => {
  vi.restoreAllMocks()
  rmSync(home, { recursive: true, force: true })
})

const signIn = (password: string) => app.identity.signIn({ username: 'admin', password, source_ip: '192.0.2.1' })

describe('the first admin of a deployed platform', () => {
  let first = ''

  it('has no password to reset before it is made', async () => {
    await expect(handler({ reset: true })).rejects.toThrow(/There is no first admin yet/)
  })

  it('is made once, with a password that works and stands in the answer alone', async () => {
    const made = await handler()
    expect(made).toEqual({ created: true, username: 'admin', generated_password: expect.stringMatching(/^[\w-]{24}$/) })
    first = String(made.generated_password)
    expect((await signIn(first)).token).toBeTruthy()
    expect(await handler()).toEqual({ created: false, username: 'admin' })
    expect(logged.join('')).not.toContain(first)
  })

  it('gets a new password when asked, and the old one and its tokens end', async () => {
    const { token } = await signIn(first)
    const { created, generated_password = '' } = await handler({ reset: true })
    expect(created).toBe(false)
    await expect(signIn(first)).rejects.toMatchObject({ code: 'unauthenticated' })
    await expect(app.identity.verify(token)).rejects.toMatchObject({ code: 'unauthenticated' })
    const { token: next } = await signIn(generated_password)
    expect(await app.identity.verify(next)).toMatchObject({ username: 'admin' })
    expect(logged.join('')).not.toContain(generated_password)
  })
})
