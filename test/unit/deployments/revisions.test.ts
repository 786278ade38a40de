import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import { activateDeployment } from '../../../layers/core/usecases/activate-deployment.ts'
import { deleteDeployment } from '../../../layers/core/usecases/delete-deployment.ts'
import { getDeployment } from '../../../layers/core/usecases/get-deployment.ts'
import { hibernateDeployment } from '../../../layers/core/usecases/hibernate-deployment.ts'
import { listRevisions } from '../../../layers/core/usecases/list-revisions.ts'
import { readModelUse } from '../../../layers/core/usecases/model-use.ts'
import { rollbackDeployment } from '../../../layers/core/usecases/rollback-deployment.ts'
import { stopDeployment } from '../../../layers/core/usecases/stop-deployment.ts'
import { updateDeployment } from '../../../layers/core/usecases/update-deployment.ts'
import {
  createdIn,
  makeWorld,
  owner,
  putDocument,
  refusal,
  storedModel,
  until,
  type World,
  type wanted,
} from '../../support/deployment-world.ts'

let world: World
beforeEach(async () => {
  world = await makeWorld()
})
afterEach(() => world.stop())

const created = async (changes: Parameters<typeof wanted>[0] = {}) => (await createdIn(world, changes)).id

describe('revisions', () => {
  it('a PUT replaces members that are present, metadata as a whole, and answers the new body', async () => {
    const id = await created({ metadata: { a: 1, b: 2 }, scaling_policy: { max_instances: 9 } })
    const reply = await updateDeployment(world.app, owner, id, { metadata: { key: 'value' }, name: 'renamed' })
    expect(reply.status).toBeUndefined()
    expect(reply.body).toMatchObject({ status: 'active', revision: 2, metadata: { key: 'value' }, name: 'renamed' })
    expect(reply.body.scaling_policy.max_instances).toBe(9)
    expect(world.fake.up.get(id)).toBe(2)
    const back = await rollbackDeployment(world.app, owner, id, 1)
    expect(back.body).toMatchObject({ revision: 3, metadata: { a: 1, b: 2 }, name: 'renamed' })
    const revisions = await listRevisions(world.app, owner, id)
    expect(revisions.map(({ revision, rolled_back_from, created_by }) => [revision, rolled_back_from, created_by])).toEqual([
      [3, 1, 'usr_1'],
      [2, null, 'usr_1'],
      [1, null, 'usr_1'],
    ])
    expect(await refusal(rollbackDeployment(world.app, owner, id, 9))).toMatchObject({ code: 'not_found' })
  })

  it('a revision that does not come up leaves the old one in force with the reason', async () => {
    await putDocument(world.app.records, 'model', storedModel({ id: 'mod_2' }))
    const id = await created()
    world.fake.pause = async (verb) => {
      if (verb === 'deploy') throw new PlatformError('invalid_model', 'does not load')
    }
    const refused = await refusal(updateDeployment(world.app, owner, id, { model_id: 'mod_2' }))
    expect(refused).toMatchObject({ code: 'deployment_unavailable', facts: { state: 'active', revision: 1 } })
    const now = await getDeployment(world.app, owner, id)
    expect(now).toMatchObject({ status: 'active', revision: 1, model_id: 'mod_1' })
    expect(now.status_reason).toContain('does not load')
    expect((await readModelUse(world.app, 'org_1', 'mod_2')).deployment_ids).toEqual([])
    world.fake.pause = async () => undefined
    expect((await updateDeployment(world.app, owner, id, { model_id: 'mod_2' })).body).toMatchObject({
      revision: 3,
      model_id: 'mod_2',
    })
    expect((await readModelUse(world.app, 'org_1', 'mod_1')).deployment_ids).toEqual([])
    expect((await readModelUse(world.app, 'org_1', 'mod_2')).deployment_ids).toEqual([id])
    await deleteDeployment(world.app, owner, id)
    expect((await readModelUse(world.app, 'org_1', 'mod_2')).deployment_ids).toEqual([])
  })

  it.each(['hibernated', 'stopped'] as const)('a %s deployment takes the revision on and stays so', async (state) => {
    const id = await created()
    await (state === 'hibernated' ? hibernateDeployment : stopDeployment)(world.app, owner, id)
    expect((await updateDeployment(world.app, owner, id, { metadata: {} })).body).toMatchObject({ status: state, revision: 2 })
    expect(world.fake.up.has(id)).toBe(false)
    await activateDeployment(world.app, owner, id)
    expect(world.fake.up.get(id)).toBe(2)
  })

  it('answers 202 with the old body and a message while it takes longer; a second change meanwhile is refused', async () => {
    const id = await created()
    const gate = Promise.withResolvers<void>()
    world.fake.pause = () => gate.promise
    const reply = await updateDeployment(world.app, owner, id, { name: 'new' }, 30)
    expect(reply).toMatchObject({
      status: 202,
      body: { revision: 1, name: 'digits', message: expect.stringContaining('Revision 2') },
    })
    expect(await refusal(updateDeployment(world.app, owner, id, { name: 'newer' }))).toMatchObject({
      facts: { state: 'updating' },
    })
    gate.resolve()
    await until(world.app, id, (deployment) => deployment.revision === 2)
  })
})
