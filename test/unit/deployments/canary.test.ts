import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import type { Canary } from '../../../layers/core/domain/deployment.ts'
import { changeDeployment, inState } from '../../../layers/core/usecases/change-deployment.ts'
import { getDeployment } from '../../../layers/core/usecases/get-deployment.ts'
import { hibernateDeployment } from '../../../layers/core/usecases/hibernate-deployment.ts'
import { repairInFlight } from '../../../layers/core/usecases/repair-in-flight.ts'
import { rollbackDeployment } from '../../../layers/core/usecases/rollback-deployment.ts'
import { updateDeployment } from '../../../layers/core/usecases/update-deployment.ts'
import { createdIn, makeWorld, owner, refusal, until, type World } from '../../support/deployment-world.ts'

let world: World
let shifts: { to: Canary | null; other: number | undefined }[]
let broken: PlatformError | undefined
let id: string
const put = (canary: Canary | null) => updateDeployment(world.app, owner, id, { canary })

beforeEach(async () => {
  world = await makeWorld()
  shifts = []
  broken = undefined
  world.fake.deployer.shift = async (target, to, other) => {
    shifts.push({ to, other: other?.deployment.revision })
    if (broken) throw broken
    return { ...target.deployment.deployer_state, share: to?.percent ?? 0 }
  }
  id = (await createdIn(world)).id
  await updateDeployment(world.app, owner, id, { metadata: { second: true } })
})
afterEach(() => world.stop())

describe('a canary', () => {
  it('is told to the deployer, then on record; changes no revision; is shown; ends', async () => {
    const reply = await put({ revision: 1, percent: 10 })
    expect(reply.body).toMatchObject({ status: 'active', revision: 2, canary: { revision: 1, percent: 10 } })
    expect(await getDeployment(world.app, owner, id)).toMatchObject({ canary: { revision: 1, percent: 10 }, status_reason: null })
    expect(shifts).toEqual([{ to: { revision: 1, percent: 10 }, other: 1 }])
    await put({ revision: 1, percent: 10 })
    expect(shifts).toHaveLength(1)
    expect((await put({ revision: 1, percent: 50 })).body.canary).toEqual({ revision: 1, percent: 50 })
    expect((await put(null)).body).toMatchObject({ canary: null, revision: 2 })
    expect(shifts.at(-1)).toEqual({ to: null, other: undefined })
    await put(null)
    expect(shifts).toHaveLength(3)
  })

  it.each([
    ['a revision that is not there', { revision: 9, percent: 5 }, /revisions up to 2/],
    ['the revision in force', { revision: 2, percent: 5 }, /in force/],
  ])('is refused for %s', async (_, canary, detail) => {
    expect(await refusal(put(canary))).toMatchObject({
      code: 'invalid_request',
      status: 422,
      detail: expect.stringMatching(detail),
      errors: [{ pointer: '/canary/revision' }],
    })
  })

  it('is refused for a revision that lets others in than the one in force', async () => {
    await updateDeployment(world.app, owner, id, { endpoint_auth: 'none' })
    await updateDeployment(world.app, owner, id, { endpoint_auth: 'token' })
    expect(await refusal(put({ revision: 3, percent: 5 }))).toMatchObject({
      code: 'invalid_request',
      detail: expect.stringContaining('revision 3 has endpoint_auth none'),
    })
    expect((await put({ revision: 2, percent: 5 })).body.canary).toEqual({ revision: 2, percent: 5 })
  })

  it('is refused for a revision that never came up', async () => {
    world.fake.pause = async (verb) => {
      if (verb === 'deploy') throw new PlatformError('invalid_model', 'does not load')
    }
    await refusal(updateDeployment(world.app, owner, id, { metadata: {} }))
    world.fake.pause = async () => undefined
    expect(await refusal(put({ revision: 3, percent: 5 }))).toMatchObject({ detail: expect.stringContaining('never came up') })
  })

  it('is refused where the type has none, naming those that have, where this deployment cannot, beside other members', async () => {
    const able = { ...world.fake.deployer, type: 'sagemaker' }
    const { shift: _, ...unable } = world.fake.deployer
    Object.assign(world.app, {
      deployers: new Map([
        ['serverless', unable],
        ['sagemaker', able],
      ]),
    })
    expect(await refusal(put({ revision: 1, percent: 5 }))).toMatchObject({ detail: expect.stringMatching(/have: sagemaker/) })
    const picky = { ...able, type: 'serverless', refusesCanary: () => 'it has one variant only' }
    Object.assign(world.app, { deployers: new Map([['serverless', picky]]) })
    expect(await refusal(put({ revision: 1, percent: 5 }))).toMatchObject({ detail: '/canary: it has one variant only' })
    const both = updateDeployment(world.app, owner, id, { canary: { revision: 1, percent: 5 }, name: 'x' })
    expect(await refusal(both)).toMatchObject({ code: 'invalid_request', detail: expect.stringContaining('together with name') })
  })

  it('is refused while asleep, and ends with hibernation, a new revision and a rollback', async () => {
    await put({ revision: 1, percent: 5 })
    await hibernateDeployment(world.app, owner, id)
    expect((await getDeployment(world.app, owner, id)).canary).toBeNull()
    expect(await refusal(put({ revision: 1, percent: 5 }))).toMatchObject({ detail: expect.stringContaining('is hibernated') })
    for (const change of [
      () => updateDeployment(world.app, owner, id, { metadata: { third: true } }),
      () => rollbackDeployment(world.app, owner, id, 1),
    ]) {
      const { activateDeployment } = await import('../../../layers/core/usecases/activate-deployment.ts')
      await activateDeployment(world.app, owner, id)
      await put({ revision: 1, percent: 5 })
      expect((await change()).body.canary).toBeNull()
    }
  })

  it('that the deployer refuses leaves everything as it was, with the reason', async () => {
    broken = new PlatformError('unavailable', 'no room for a second variant')
    expect(await refusal(put({ revision: 1, percent: 5 }))).toMatchObject({
      code: 'deployment_unavailable',
      detail: expect.stringContaining('no room'),
    })
    expect(await getDeployment(world.app, owner, id)).toMatchObject({ status: 'active', canary: null, revision: 2 })
  })

  it('whose process died between the deployer and the record is finished by repair, with the same share', async () => {
    const name = { organization_id: 'org_1', id }
    const until_past = new Date(world.app.now().getTime() - 1000).toISOString()
    const transition = { id: 'trn_dead', until: until_past, from: 'active' as const, canary: { revision: 1, percent: 7 } }
    await changeDeployment(world.app, name, (current) => ({
      next: inState(world.app, current, { status: 'updating', status_reason: null, transition }),
    }))
    expect(await repairInFlight(world.app)).toMatchObject({ repaired: 1 })
    const settled = await until(world.app, id, (deployment) => deployment.transition === null)
    expect(settled).toMatchObject({ status: 'active', canary: { revision: 1, percent: 7 }, deployer_state: { share: 7 } })
  })
})
