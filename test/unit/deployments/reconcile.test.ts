import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import type { Deployer } from '../../../layers/core/ports/deployer.ts'
import { inferDeployment } from '../../../layers/core/usecases/infer-deployment.ts'
import { reconcileDeployments } from '../../../layers/core/usecases/reconcile-deployments.ts'
import { listProvisioned, tearDownDeployments } from '../../../layers/core/usecases/tear-down-deployments.ts'
import { transitionDeployment } from '../../../layers/core/usecases/transition-deployment.ts'
import { callOf, createdIn, makeWorld, owner, refusal, type World } from '../../support/deployment-world.ts'

let world: World
let changes: Partial<Deployer>
beforeEach(async () => {
  world = await makeWorld()
  changes = {}
})
afterEach(() => world.stop())

/** The world's deployer with what a test adds. */
const app = () => ({ ...world.app, deployers: new Map([['serverless', { ...world.fake.deployer, ...changes }]]) })

describe('reconcile-deployments', () => {
  test('asks the deployer of every settled active deployment and tells what was repaired', async () => {
    const one = await createdIn(world)
    const other = await createdIn(world)
    const asleep = await createdIn(world)
    await transitionDeployment(world.app, asleep, 'hibernate')
    const asked: string[] = []
    changes.reconcile = async ({ deployment }) => {
      asked.push(deployment.id)
      return deployment.id === one.id && asked.length < 3 ? ['policy set'] : []
    }
    expect(await reconcileDeployments(app())).toEqual({ looked_at: 2, repaired: 1, removed: 0, failed: 0 })
    expect(new Set(asked)).toEqual(new Set([one.id, other.id]))
    expect(world.logged).toContainEqual({
      event: 'deployment_repaired',
      fields: { deployment_id: one.id, repaired: ['policy set'] },
    })
  })

  test('one that fell asleep while it was repaired is put to sleep again', async () => {
    const one = await createdIn(world)
    const slept: string[] = []
    changes.hibernate = async ({ deployment }) => void slept.push(deployment.status)
    changes.reconcile = async () => {
      world.skip(1_000)
      await transitionDeployment(world.app, one, 'hibernate')
      return ['2 instances kept warm']
    }
    expect(await reconcileDeployments(app())).toMatchObject({ repaired: 1, failed: 0 })
    expect(slept).toEqual(['hibernated'])
  })

  test('one that cannot be repaired does not stop the others', async () => {
    const one = await createdIn(world)
    await createdIn(world)
    changes.reconcile = async ({ deployment }) => {
      if (deployment.id === one.id) throw new Error('no access')
      return []
    }
    changes.sweep = async () => {
      throw new Error('no access either')
    }
    expect(await reconcileDeployments(app())).toEqual({ looked_at: 1, repaired: 0, removed: 0, failed: 2 })
  })

  test('a run that has no time left is gone on with by the next', async () => {
    const ids = [await createdIn(world), await createdIn(world), await createdIn(world)].map(({ id }) => id)
    const asked: string[] = []
    changes.reconcile = async ({ deployment }) => {
      asked.push(deployment.id)
      world.skip(150_000)
      return []
    }
    await reconcileDeployments(app())
    expect(asked.length).toBe(2)
    await reconcileDeployments(app())
    expect(new Set(asked)).toEqual(new Set(ids))
    await reconcileDeployments(app())
    expect(asked.length).toBeGreaterThan(3)
  })

  test('sweeps what no record knows, never what is on record, asleep or young', async () => {
    const live = await createdIn(world)
    const asleep = await createdIn(world)
    await transitionDeployment(world.app, asleep, 'hibernate')
    const gone = await createdIn(world)
    await transitionDeployment(world.app, gone, 'delete')
    const young = `dep_${Date.now().toString(16).padStart(12, '0')}${'0'.repeat(20)}`
    const old = `dep_${(Date.now() - 7_200_000).toString(16).padStart(12, '0')}${'0'.repeat(20)}`
    changes.sweep = async (isLive) => {
      const removed: string[] = []
      for (const id of [live.id, asleep.id, gone.id, young, old]) if (!(await isLive(id))) removed.push(id)
      return removed
    }
    expect(await reconcileDeployments(app())).toMatchObject({ removed: 2, failed: 0 })
    expect(world.logged).toContainEqual({
      event: 'leftovers_removed',
      fields: { deployment_type: 'serverless', removed: [gone.id, old] },
    })
  })
})

describe('tearing down', () => {
  const provisioned = (stubborn = 0) => {
    const there = new Set(['dep_a', 'dep_b'])
    let resists = stubborn
    changes.sweep = async (isLive) => {
      const removed: string[] = []
      for (const id of [...there]) {
        if (await isLive(id)) continue
        if (resists-- > 0) continue
        there.delete(id)
        removed.push(id)
      }
      return removed
    }
    return there
  }

  test('lists without removing, then removes until nothing is left', async () => {
    const there = provisioned(3)
    expect(await listProvisioned(app())).toEqual(['serverless: dep_a', 'serverless: dep_b'])
    expect(there.size).toBe(2)
    expect(await tearDownDeployments(app())).toEqual({ removed: ['serverless: dep_b', 'serverless: dep_a'] })
    expect(there.size).toBe(0)
    expect(await tearDownDeployments(app())).toEqual({ removed: [] })
  })

  test('what AWS is still removing is looked at again', async () => {
    const there = provisioned()
    const sweep = changes.sweep
    let asked = 0
    changes.sweep = async (isLive) => {
      const removed = (await sweep?.(isLive)) ?? []
      asked += 1
      if (asked === 2) throw new PlatformError('work_pending', 'Removal of the endpoint takes longer')
      return removed
    }
    await tearDownDeployments(app())
    expect(there.size).toBe(0)
  })

  test('what resists is named', async () => {
    provisioned(100)
    expect(await refusal(tearDownDeployments(app()))).toMatchObject({
      code: 'unavailable',
      facts: { left: ['serverless: dep_a', 'serverless: dep_b'] },
    })
  })
})

test('a deployer that meters itself has its replies counted once, by itself, and its failures here', async () => {
  const { id } = await createdIn(world)
  changes.capabilities = { ...world.fake.deployer.capabilities, meters_itself: true }
  await inferDeployment(app(), owner, callOf(id))
  expect(world.samples).toEqual([])
  changes.infer = async () => {
    throw new Error('out of reach')
  }
  await inferDeployment(app(), owner, callOf(id)).catch(() => undefined)
  expect(world.samples).toMatchObject([{ error: true }])
})
