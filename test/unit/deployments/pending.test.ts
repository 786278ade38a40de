import { afterEach, beforeEach, expect, it } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import { createDeployment } from '../../../layers/core/usecases/create-deployment.ts'
import { deployRevision } from '../../../layers/core/usecases/deploy-revision.ts'
import { makeWorld, owner, until, type World, wanted } from '../../support/deployment-world.ts'

let world: World
beforeEach(async () => {
  world = await makeWorld()
})
afterEach(() => world.stop())

it('a deployer whose work goes on elsewhere is asked again; what is half up stays', async () => {
  world.fake.pause = async (verb) => {
    if (verb === 'deploy') throw new PlatformError('work_pending', 'the endpoint is being made', { retry_after_s: 30 })
  }
  const { id } = await createDeployment(world.app, owner, wanted())
  const seen = await until(world.app, id, () => world.fake.count('deploy', id) > 0)
  const { transition } = seen
  const input = { organization_id: 'org_1', deployment_id: id, transition_id: transition?.id ?? '', revision: 1 }
  await expect(deployRevision(world.app, input)).rejects.toMatchObject({ code: 'work_pending' })
  expect(await until(world.app, id, () => true)).toMatchObject({ status: 'creating', transition: { id: transition?.id } })
  expect(world.fake.count('hibernate', id)).toBe(0)
  world.fake.pause = async () => undefined
  expect(await deployRevision(world.app, input)).toEqual({ outcome: 'in_force' })
  expect(await until(world.app, id, () => true)).toMatchObject({ status: 'active', transition: null })
})
