import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { accrueStandingCosts } from '../../../layers/core/usecases/accrue-standing-costs.ts'
import { activateDeployment } from '../../../layers/core/usecases/activate-deployment.ts'
import { deleteDeployment } from '../../../layers/core/usecases/delete-deployment.ts'
import { getDeployment } from '../../../layers/core/usecases/get-deployment.ts'
import { hibernateDeployment } from '../../../layers/core/usecases/hibernate-deployment.ts'
import { readAwakeSpans, readStandingRows } from '../../../layers/core/usecases/standing-rows.ts'
import { stopDeployment } from '../../../layers/core/usecases/stop-deployment.ts'
import { updateDeployment } from '../../../layers/core/usecases/update-deployment.ts'
import { snapshotPrices } from '../../../layers/pricing/snapshot.ts'
import { createdIn, makeWorld, owner, until, type World } from '../../support/deployment-world.ts'

const minute_ms = 60_000
const day_ms = 86_400_000
let world: World
let provisioned = 2

beforeEach(async () => {
  world = await makeWorld()
  provisioned = 2
  const { deploy } = world.fake.deployer
  world.fake.deployer.deploy = async (target) => ({
    ...(await deploy(target)),
    architecture: 'arm64',
    memory_mb: 1024,
    provisioned,
  })
})
afterEach(() => world.stop())

const minutesAwake = async (id: string) => {
  const spans = await readAwakeSpans(world.app.records, id)
  return spans.map(({ from, to, footprint }) => [
    Math.round((Date.parse(to) - Date.parse(from)) / minute_ms),
    footprint.provisioned,
  ])
}
const awake = (minutes: number) => world.skip(minutes * minute_ms)

describe('time awake, over the real life of a deployment', () => {
  it('ends with hibernation, stop and deletion, and begins again with waking', async () => {
    const { id } = await createdIn(world)
    awake(10)
    await hibernateDeployment(world.app, owner, id)
    awake(100)
    await activateDeployment(world.app, owner, id)
    awake(20)
    await stopDeployment(world.app, owner, id)
    awake(100)
    await activateDeployment(world.app, owner, id)
    awake(30)
    await deleteDeployment(world.app, owner, id)
    expect(await minutesAwake(id)).toEqual([
      [10, 2],
      [20, 2],
      [30, 2],
    ])
    world.skip(day_ms)
    expect(await accrueStandingCosts({ ...world.app, prices: snapshotPrices() })).toMatchObject({ failed: 0 })
    const rows = await readStandingRows(world.app.records, id, 0, Date.now() + 10 * day_ms)
    expect(Math.round(rows.reduce((sum, row) => sum + row.awake_ms, 0) / minute_ms)).toBe(60)
  })

  it('goes on through a change of revision, and is parted where that provisions something else', async () => {
    const { id } = await createdIn(world)
    awake(10)
    await updateDeployment(world.app, owner, id, { metadata: { note: 'same size' } })
    await until(world.app, id, ({ transition, revision }) => transition === null && revision === 2)
    expect(await minutesAwake(id)).toEqual([])
    awake(10)
    provisioned = 5
    await updateDeployment(world.app, owner, id, { metadata: { note: 'larger' } })
    await until(world.app, id, ({ transition, revision }) => transition === null && revision === 3)
    awake(7)
    await hibernateDeployment(world.app, owner, id)
    expect(await minutesAwake(id)).toEqual([
      [20, 2],
      [7, 5],
    ])
  })

  it('is the platform’s own business: no reply shows it', async () => {
    const { id } = await createdIn(world)
    const stored = await until(world.app, id, ({ status }) => status === 'active')
    expect(stored.awake_since).toBe(stored.status_since)
    expect(await getDeployment(world.app, owner, id)).not.toHaveProperty('awake_since')
  })
})
