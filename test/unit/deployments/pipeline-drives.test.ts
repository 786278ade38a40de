import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Deployment } from '../../../layers/core/domain/deployment.ts'
import { activateDeployment } from '../../../layers/core/usecases/activate-deployment.ts'
import { carryOutTransition } from '../../../layers/core/usecases/carry-out-transition.ts'
import { deleteDeployment } from '../../../layers/core/usecases/delete-deployment.ts'
import { hibernateDeployment } from '../../../layers/core/usecases/hibernate-deployment.ts'
import { hibernateIdle } from '../../../layers/core/usecases/hibernate-idle.ts'
import { inferDeployment } from '../../../layers/core/usecases/infer-deployment.ts'
import { repairInFlight } from '../../../layers/core/usecases/repair-in-flight.ts'
import { stopDeployment } from '../../../layers/core/usecases/stop-deployment.ts'
import { callOf, createdIn, makeWorld, owner, until, type World } from '../../support/deployment-world.ts'

/** The platform where a process may freeze after its reply: transitions are carried out by the pipeline. */
let world: World
let started: string[]
beforeEach(async () => {
  world = await makeWorld()
  world.app.config.drives_in = 'pipeline'
  started = []
  const { start } = world.app.workflows
  world.app.workflows.start = (pipeline, id, input) => {
    started.push(pipeline)
    return start(pipeline, id, input)
  }
})
afterEach(() => world.stop())

const infer = (id: string) => inferDeployment(world.app, owner, callOf(id))
const settled = ({ transition }: Deployment) => transition === null

describe('transitions carried out by the pipeline', () => {
  it('bring a deployment through its whole life', async () => {
    const { id } = await createdIn(world)
    expect((await hibernateDeployment(world.app, owner, id)).status).toBeUndefined()
    expect((await infer(id)).status).toBe(200)
    await stopDeployment(world.app, owner, id)
    await activateDeployment(world.app, owner, id)
    await deleteDeployment(world.app, owner, id)
    expect(world.fake.undeployed.has(id)).toBe(true)
    expect(started).toEqual(['provision-deployment', ...Array(5).fill('drive-transition')])
    expect(world.fake.broken).toEqual([])
  })

  it('are started once for a thousand requests to a sleeper', async () => {
    const { id } = await createdIn(world)
    await hibernateDeployment(world.app, owner, id)
    await Promise.all(Array.from({ length: 1000 }, () => infer(id)))
    expect(world.fake.count('activate')).toBe(1)
    expect(started.filter((name) => name === 'drive-transition')).toHaveLength(2)
  })

  it('are started by the idle check, which trusts usage rows that another process wrote', async () => {
    const { id } = await createdIn(world, { cost_optimization_policy: { hibernation_idle_timeout: 60 } })
    world.skip(3_600_000)
    expect(await hibernateIdle(world.app)).toMatchObject({ hibernated: 1 })
    await until(world.app, id, ({ status }) => status === 'hibernated')
  })

  it('are left to repair when the pipeline cannot be started, and then carried out', async () => {
    const { id } = await createdIn(world)
    const { start } = world.app.workflows
    world.app.workflows.start = () => Promise.reject(new Error('no route to the workflows'))
    const slow = hibernateDeployment(world.app, owner, id)
    await until(world.app, id, ({ status }) => status === 'hibernating')
    world.app.workflows.start = start
    world.skip(1_000_000)
    expect(await repairInFlight(world.app)).toMatchObject({ repaired: 1, failed: 0 })
    expect((await until(world.app, id, settled)).status).toBe('hibernated')
    await slow.catch(() => undefined)
    expect(world.logged.map(({ event }) => event)).toContain('transition_left_for_repair')
  })

  it('do nothing twice, and nothing for a transition that somebody took over', async () => {
    const { id } = await createdIn(world)
    const input = { organization_id: 'org_1', deployment_id: id, transition_id: 'trn_old' }
    expect(await carryOutTransition(world.app, input)).toEqual({ outcome: 'superseded' })
    expect(world.fake.count('hibernate')).toBe(0)
  })
})
