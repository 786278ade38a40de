import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import type { Deployment } from '../../../layers/core/domain/deployment.ts'
import type { Records } from '../../../layers/core/ports/records.ts'
import { deleteDeployment } from '../../../layers/core/usecases/delete-deployment.ts'
import { endpointAccess } from '../../../layers/core/usecases/endpoint-access.ts'
import { hibernateDeployment } from '../../../layers/core/usecases/hibernate-deployment.ts'
import { type InferenceCall, inferDeployment } from '../../../layers/core/usecases/infer-deployment.ts'
import { updateDeployment } from '../../../layers/core/usecases/update-deployment.ts'
import { sqliteRecords } from '../../../layers/records/sqlite.ts'
import {
  callOf,
  codeOf,
  createdIn,
  makeWorld,
  owner,
  stranger,
  until,
  type World,
  type wanted,
} from '../../support/deployment-world.ts'

let world: World
let reads = 0
beforeEach(async () => {
  const records = sqliteRecords({ path: ':memory:', now: () => new Date() })
  const counted: Records = {
    ...records,
    get: (key) => {
      reads += 1
      return records.get(key)
    },
    query: (query) => {
      reads += 1
      return records.query(query)
    },
  }
  world = await makeWorld(counted)
})
afterEach(() => world.stop())

const created = (changes: Parameters<typeof wanted>[0] = {}): Promise<Deployment> => createdIn(world, changes)
const infer = (id: string, changes: Partial<InferenceCall> = {}) => inferDeployment(world.app, owner, callOf(id, changes))

describe('a warm call', () => {
  it('reads nothing, passes the body untouched and meters what it used', async () => {
    const { id } = await created({ resource_requirements: { memory: '512Mi' } })
    await infer(id)
    reads = 0
    const body = new Uint8Array([0, 255, 1])
    const headers = { authorization: 'Bearer secret', 'x-api-key': 'ak_secret', 'content-type': 'application/octet-stream' }
    const reply = await infer(id, { body, headers, path: '/v2/models/digits/infer' })
    expect(reads).toBe(0)
    expect(reply).toEqual({ status: 200, headers: { 'content-type': 'application/json' }, body: expect.any(Uint8Array) })
    const seen = world.fake.requests.at(-1)
    expect(seen?.body).toBe(body)
    expect(seen).toMatchObject({ path: '/v2/models/digits/infer', headers: { 'content-type': 'application/octet-stream' } })
    expect(JSON.stringify(seen?.headers)).not.toContain('secret')
    expect(world.samples.at(-1)).toMatchObject({
      ...{ organization_id: 'org_1', deployment_id: id, revision: 1, error: false, cold: false, init_us: 0 },
      ...{ compute_us: 5, cpu_us: 4, bytes_in: 3, bytes_out: 14, memory_limit_bytes: 512 * 2 ** 20 },
    })
  })

  it('counts a streamed reply when it ends, and one that is cut as an error', async () => {
    const { id } = await created()
    const plain = world.fake.deployer.infer
    world.fake.deployer.infer = async (target, request) => ({
      ...(await plain(target, request)),
      body: Readable.from([Buffer.alloc(10), Buffer.alloc(5)]),
    })
    const whole = (await infer(id)).body
    expect(world.samples).toHaveLength(0)
    let size = 0
    for await (const piece of whole as Readable) size += piece.length
    expect(size).toBe(15)
    expect(world.samples).toMatchObject([{ bytes_out: 15, error: false }])
    const cut = (await infer(id)).body as Readable
    cut.destroy()
    await new Promise((resolve) => cut.once('close', resolve))
    expect(world.samples.at(-1)).toMatchObject({ error: true })
  })

  it('meters what fails', async () => {
    const { id } = await created()
    world.fake.pause = async (verb) => {
      if (verb === 'infer') throw new PlatformError('timeout', 'too slow')
    }
    expect(await codeOf(infer(id))).toBe('timeout')
    expect(world.samples).toMatchObject([{ error: true, compute_us: 0, bytes_in: 14 }])
  })

  it('is for its organisation, unless the endpoint is open', async () => {
    const { id } = await created()
    const open = await created({ endpoint_auth: 'none' })
    expect(await codeOf(inferDeployment(world.app, stranger, callOf(id)))).toBe('not_found')
    expect(await codeOf(inferDeployment(world.app, undefined, callOf(id)))).toBe('unauthenticated')
    expect(await codeOf(infer('dep_none'))).toBe('not_found')
    expect((await inferDeployment(world.app, undefined, callOf(open.id))).status).toBe(200)
    expect(await endpointAccess(world.app, id)).toEqual({ organization_id: 'org_1', endpoint_auth: 'token' })
    expect(await endpointAccess(world.app, 'dep_none')).toBeUndefined()
  })

  it('knows own changes at once and never reaches a deleted deployment', async () => {
    const { id } = await created()
    await infer(id)
    await updateDeployment(world.app, owner, id, { endpoint_auth: 'none' })
    expect((await endpointAccess(world.app, id))?.endpoint_auth).toBe('none')
    await deleteDeployment(world.app, owner, id)
    expect(await codeOf(infer(id))).toBe('not_found')
    expect(world.fake.broken).toEqual([])
  })

  it('finds out through the refusal of the deployer what another process changed', async () => {
    const { id } = await created()
    await infer(id)
    const elsewhere = { ...world.app, records: { ...world.app.records } }
    await hibernateDeployment(elsewhere, owner, id)
    expect((await infer(id)).status).toBe(200)
    expect(world.fake.count('activate')).toBe(1)
    await deleteDeployment(elsewhere, owner, id)
    world.fake.undeployed.clear()
    expect(await codeOf(infer(id))).toBe('not_found')
  })

  it('keeps being answered by the old revision while an update runs', async () => {
    const { id } = await created()
    const gate = Promise.withResolvers<void>()
    world.fake.pause = (verb) => (verb === 'deploy' ? gate.promise : Promise.resolve())
    const update = updateDeployment(world.app, owner, id, { metadata: { v: 2 } })
    await until(world.app, id, ({ status }) => status === 'updating')
    expect(new TextDecoder().decode((await infer(id)).body as Uint8Array)).toBe('{"revision":1}')
    gate.resolve()
    await update
    expect(new TextDecoder().decode((await infer(id)).body as Uint8Array)).toBe('{"revision":2}')
  })
})
