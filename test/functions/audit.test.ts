import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import * as z from 'zod'
import { PlatformEvent } from '../../layers/core/contract/events.ts'

const home = mkdtempSync(join(tmpdir(), 'audit-'))
vi.stubEnv('AIDEPLOY_HOME', home)
const { app, host } = await import('../../layers/compose/embedded.ts')
const { loadHandlers, loadSubscribers } = await import('../../bin/local/load.ts')
const { hostServer } = await import('../../bin/local/server.ts')
const { routeRows } = await import('../../layers/core/contract/routes.ts')
const { createUser } = await import('../../layers/core/usecases/create-user.ts')
const { ensureFirstAdmin } = await import('../../layers/core/usecases/ensure-first-admin.ts')
const { pumpChanges } = await import('../../layers/core/usecases/pump-changes.ts')
const { authenticate } = await import('../../layers/core/usecases/authenticate.ts')

const password = 'correct horse battery'
const server = hostServer(app, routeRows, await loadHandlers(), Promise.resolve())
const pump = pumpChanges({ records: app.records, changes: host.records.changes, events: app.events, every_ms: 3_600_000 })
let url = ''

beforeAll(async () => {
  for (const [id, run] of await loadSubscribers()) app.events.subscribe(id, run)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await ensureFirstAdmin(app, password)
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await pump.stop()
  await host.events.stop()
  await host.processes.stop()
  host.records.close()
  rmSync(home, { recursive: true, force: true })
})

const token = async (username: string): Promise<string> =>
  (await app.identity.signIn({ username, password, source_ip: '::1' })).token
const get = async (path: string, bearer: string) => {
  const reply = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${bearer}` } })
  return { status: reply.status, body: JSON.parse(await reply.text()) }
}
const Page = z.object({ items: z.array(PlatformEvent), next_page_token: z.string() })

it('what happens to a model is in the audit, for admins and once', async () => {
  const admin = await token('admin')
  const principal = await authenticate(app, { authorization: `Bearer ${admin}`, api_key: undefined, source_ip: '::1' })
  const { organization_id } = principal
  const model = { id: 'mod_1', name: 'digits', framework: 'onnx', version: '1', size_bytes: 10, sha256: 'ab', status: 'active' }
  const key = { pk: `org#${organization_id}`, sk: 'model#mod_1' }
  await app.records.write([{ put: { ...key, body: model }, expect: 'absent' }])
  await app.records.write([{ remove: key, expect: 'any' }])
  await pump.pump()
  await host.events.drain()
  const { status, body } = await get('/audit?page_size=1', admin)
  expect(status).toBe(200)
  const first = Page.parse(body)
  expect(first.items.map(({ type }) => type)).toEqual(['model.deleted'])
  const second = Page.parse((await get(`/audit?page_size=1&page_token=${first.next_page_token}`, admin)).body)
  expect(second).toMatchObject({ items: [{ type: 'model.created', organization_id, data: { name: 'digits' } }] })
  const created = Page.parse((await get('/audit?type=model.created', admin)).body)
  expect(created).toMatchObject({ items: [{ type: 'model.created' }], next_page_token: '' })

  await createUser(app, principal, { username: 'vera', password, role: 'viewer' })
  expect((await get('/audit', await token('vera'))).status).toBe(403)
  expect((await get('/audit?type=nonsense', admin)).body).toMatchObject({ code: 'invalid_request' })
  expect((await get('/audit?from=yesterday', admin)).body).toMatchObject({ code: 'invalid_request' })
})
