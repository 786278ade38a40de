import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { activateDeployment } from '../../../layers/core/usecases/activate-deployment.ts'
import { countsByStatus } from '../../../layers/core/usecases/count-by-status.ts'
import { deleteDeployment } from '../../../layers/core/usecases/delete-deployment.ts'
import { endpointAccess } from '../../../layers/core/usecases/endpoint-access.ts'
import { failDeployment } from '../../../layers/core/usecases/fail-deployment.ts'
import { getDeployment } from '../../../layers/core/usecases/get-deployment.ts'
import { hibernateDeployment } from '../../../layers/core/usecases/hibernate-deployment.ts'
import { listDeployments } from '../../../layers/core/usecases/list-deployments.ts'
import { listRevisions } from '../../../layers/core/usecases/list-revisions.ts'
import { readModelUse } from '../../../layers/core/usecases/model-use.ts'
import { stopDeployment } from '../../../layers/core/usecases/stop-deployment.ts'
import { transitionDeployment } from '../../../layers/core/usecases/transition-deployment.ts'
import { updateDeployment } from '../../../layers/core/usecases/update-deployment.ts'
import { createdIn, makeWorld, owner, refusal, stranger, until, type World, type wanted } from '../../support/deployment-world.ts'

let world: World
beforeEach(async () => {
  world = await makeWorld()
})
afterEach(() => world.stop())

const created = async (changes: Parameters<typeof wanted>[0] = {}) => (await createdIn(world, changes)).id
const status = async (id: string) => (await getDeployment(world.app, owner, id)).status

describe('hibernate, activate, stop, delete', () => {
  it('answer the messages of the reference and are idempotent', async () => {
    const id = await created()
    for (const _ of [1, 2]) {
      expect(await hibernateDeployment(world.app, owner, id)).toEqual({
        body: { message: `Deployment ${id} hibernated successfully` },
      })
      expect(await status(id)).toBe('hibernated')
    }
    for (const _ of [1, 2]) {
      expect(await activateDeployment(world.app, owner, id)).toEqual({
        body: { message: `Deployment ${id} activated successfully` },
      })
    }
    for (const _ of [1, 2]) {
      expect(await stopDeployment(world.app, owner, id)).toEqual({ body: { message: `Deployment ${id} stopped successfully` } })
    }
    expect(world.fake.calls.map(({ verb }) => verb)).toEqual(['deploy', 'hibernate', 'activate', 'hibernate'])
    expect(await deleteDeployment(world.app, owner, id)).toEqual({ body: { message: `Deployment ${id} deleted successfully` } })
  })

  it('delete releases everything and leaves a tombstone that nobody sees', async () => {
    const id = await created()
    await deleteDeployment(world.app, owner, id)
    expect(await refusal(getDeployment(world.app, owner, id))).toMatchObject({ code: 'not_found' })
    expect(await refusal(deleteDeployment(world.app, owner, id))).toMatchObject({ code: 'not_found' })
    expect((await listDeployments(world.app, owner, {})).body).toEqual([])
    expect(await endpointAccess(world.app, id)).toBeUndefined()
    expect((await readModelUse(world.app, 'org_1', 'mod_1')).deployment_ids).toEqual([])
    expect(await countsByStatus(world.app, 'org_1', 'deployment')).toEqual({})
    const stone = await world.app.records.get({ pk: 'org#org_1', sk: `deployment#${id}` })
    expect((stone?.expires_at ?? 0) - Date.now() / 1000).toBeGreaterThan(29 * 86_400)
    expect((await world.app.records.query({ pk: 'org#org_1', from: 'revision#', to: 'revision#~' })).items).toEqual([])
  })

  it('refuse illegal moves with the state', async () => {
    const id = await created()
    await stopDeployment(world.app, owner, id)
    expect(await refusal(hibernateDeployment(world.app, owner, id))).toMatchObject({
      code: 'illegal_transition',
      status: 409,
      facts: { state: 'stopped' },
    })
    await failDeployment(world.app, id, 'nothing')
    expect(await status(id)).toBe('stopped')
    await activateDeployment(world.app, owner, id)
    await failDeployment(world.app, id, 'it crashed five times')
    expect(await getDeployment(world.app, owner, id)).toMatchObject({ status: 'failed', status_reason: 'it crashed five times' })
    expect(await refusal(hibernateDeployment(world.app, owner, id))).toMatchObject({ facts: { state: 'failed' } })
    await activateDeployment(world.app, owner, id)
    expect(await status(id)).toBe('active')
  })

  it('answer 202 with the state when the deployer takes longer, and finish later', async () => {
    const id = await created()
    const gate = Promise.withResolvers<void>()
    world.fake.pause = () => gate.promise
    const reply = await transitionDeployment(world.app, { organization_id: 'org_1', id }, 'hibernate', 30)
    expect(reply).toMatchObject({ status: 202, body: { status: 'hibernating', message: expect.stringContaining(id) } })
    expect(await refusal(activateDeployment(world.app, owner, id))).toMatchObject({ facts: { state: 'hibernating' } })
    gate.resolve()
    await until(world.app, id, (deployment) => deployment.status === 'hibernated')
  })

  it('keep it active when hibernating fails, and say so', async () => {
    const id = await created()
    world.fake.pause = async (verb) => {
      if (verb === 'hibernate') throw new Error('cannot drain')
    }
    expect(await refusal(hibernateDeployment(world.app, owner, id))).toMatchObject({
      code: 'deployment_unavailable',
      facts: { state: 'active' },
    })
    expect(await status(id)).toBe('active')
    expect(world.fake.up.has(id)).toBe(true)
  })

  it('delete wins over an activation that is under way, and nothing stays up', async () => {
    const id = await created()
    await hibernateDeployment(world.app, owner, id)
    const gate = Promise.withResolvers<void>()
    world.fake.pause = (verb) => (verb === 'activate' ? gate.promise : Promise.resolve())
    const activation = refusal(activateDeployment(world.app, owner, id))
    await until(world.app, id, (deployment) => deployment.status === 'activating')
    const deletion = deleteDeployment(world.app, owner, id)
    await until(world.app, id, (deployment) => deployment.status === 'deleted')
    expect(await refusal(getDeployment(world.app, owner, id))).toMatchObject({ code: 'not_found' })
    gate.resolve()
    expect((await deletion).body.message).toContain('deleted successfully')
    expect((await activation).code).toBe('deployment_unavailable')
    expect(world.fake.up.size).toBe(0)
    expect(world.fake.broken).toEqual([])
  })

  it('know nothing of other organisations', async () => {
    const id = await created()
    const unknown = await refusal(getDeployment(world.app, owner, 'dep_none'))
    for (const use of [getDeployment, hibernateDeployment, activateDeployment, stopDeployment, deleteDeployment, listRevisions]) {
      const foreign = await refusal(use(world.app, stranger, id))
      expect({ ...foreign, detail: foreign.detail.replace(id, 'dep_none') }).toEqual(unknown)
    }
    expect(await refusal(updateDeployment(world.app, stranger, id, { name: 'mine' }))).toMatchObject({ code: 'not_found' })
    expect((await listDeployments(world.app, stranger, {})).body).toEqual([])
    expect(await status(id)).toBe('active')
  })
})
