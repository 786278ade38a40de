import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import { CreateDeployment, UpdateDeployment } from '../../../layers/core/contract/routes/deployments.ts'
import { activateDeployment } from '../../../layers/core/usecases/activate-deployment.ts'
import { countsByStatus } from '../../../layers/core/usecases/count-by-status.ts'
import { createDeployment } from '../../../layers/core/usecases/create-deployment.ts'
import { getDeployment } from '../../../layers/core/usecases/get-deployment.ts'
import { readModelUse } from '../../../layers/core/usecases/model-use.ts'
import {
  createdIn,
  makeWorld,
  owner,
  putDocument,
  refusal,
  storedModel,
  stranger,
  until,
  type World,
  wanted,
} from '../../support/deployment-world.ts'

let world: World
beforeEach(async () => {
  world = await makeWorld()
})
afterEach(() => world.stop())

const created = async (changes: Parameters<typeof wanted>[0] = {}) => (await createdIn(world, changes)).id
const status = async (id: string) => (await getDeployment(world.app, owner, id)).status

describe('creating', () => {
  it('answers creating without an endpoint, then becomes active with one', async () => {
    const reply = await createDeployment(world.app, owner, wanted({ metadata: { team: 'a' } }))
    expect(reply).toMatchObject({
      status: 'creating',
      endpoint: null,
      revision: 1,
      resolved_model_id: 'mod_1',
      metadata: { team: 'a' },
    })
    expect(Object.keys(reply)).not.toEqual(expect.arrayContaining(['organization_id', 'deployer_state', 'transition']))
    await until(world.app, reply.id, (deployment) => deployment.status === 'active')
    expect(await getDeployment(world.app, owner, reply.id)).toMatchObject({
      status: 'active',
      endpoint: `http://host/deployments/${reply.id}/inference`,
      status_reason: null,
    })
    expect((await readModelUse(world.app, 'org_1', 'mod_1')).deployment_ids).toEqual([reply.id])
    expect(await countsByStatus(world.app, 'org_1', 'deployment')).toEqual({ active: 1 })
  })

  it('takes no more metadata than leaves room for what the platform notes beside it', async () => {
    const metadata = (bytes: number) => ({ text: 'x'.repeat(bytes - '{"text":""}'.length) })
    const asked = { name: 'large', model_id: 'mod_1', deployment_type: 'serverless' }
    expect(CreateDeployment.safeParse({ ...asked, metadata: metadata(131_073) }).error?.issues).toMatchObject([
      { path: ['metadata'], message: 'wanted at most 131072 bytes as JSON' },
    ])
    expect(UpdateDeployment.safeParse({ metadata: metadata(131_073) }).success).toBe(false)
    const id = await created(CreateDeployment.parse({ ...asked, metadata: metadata(131_072) }))
    expect(await status(id)).toBe('active')
  })

  it('ends in failed with the reason when the deployer cannot, and activate deploys it later', async () => {
    world.fake.pause = async (verb) => {
      if (verb === 'deploy') throw new PlatformError('invalid_model', 'the graph has no output')
    }
    const id = await created()
    expect(await getDeployment(world.app, owner, id)).toMatchObject({ status: 'failed', endpoint: null, metadata: {} })
    expect((await getDeployment(world.app, owner, id)).status_reason).toContain('the graph has no output')
    expect(world.fake.count('deploy')).toBe(1)
    world.fake.pause = async () => undefined
    expect((await activateDeployment(world.app, owner, id)).body.message).toBe(`Deployment ${id} activated successfully`)
    expect(await getDeployment(world.app, owner, id)).toMatchObject({ status: 'active', endpoint: expect.stringContaining(id) })
    expect(world.fake.up.get(id)).toBe(1)
  })

  it('retries a deployer that fails for its own reasons', async () => {
    let tries = 0
    world.fake.pause = async (verb, _id, at) => {
      if (verb === 'deploy' && at === 'begin' && ++tries < 3) throw new PlatformError('unavailable', 'no room just now')
    }
    expect(await status(await created())).toBe('active')
    expect(tries).toBe(3)
  })

  it('refuses what cannot be deployed, saying what can', async () => {
    await putDocument(world.app.records, 'model', storedModel({ id: 'mod_tf', framework: 'tensorflow' }))
    await putDocument(world.app.records, 'model', storedModel({ id: 'mod_off', status: 'inactive' }))
    const attempt = (changes: Parameters<typeof wanted>[0]) => refusal(createDeployment(world.app, owner, wanted(changes)))
    expect(await attempt({ deployment_type: 'kubernetes' })).toMatchObject({
      code: 'unavailable_here',
      facts: { available: ['serverless'] },
    })
    expect(await attempt({ deployment_type: 'toaster' })).toMatchObject({
      code: 'invalid_request',
      errors: [{ pointer: '/deployment_type' }],
    })
    expect(await attempt({ model_id: 'mod_none' })).toMatchObject({ code: 'not_found' })
    expect(await attempt({ model_id: 'mod_off' })).toMatchObject({ code: 'conflict' })
    expect(await attempt({ model_id: 'mod_tf' })).toMatchObject({
      code: 'framework_unsupported',
      detail: expect.stringContaining('tf2onnx'),
    })
    expect(await attempt({ model_type: 'optimized' })).toMatchObject({ code: 'not_optimized' })
    expect(await attempt({ resource_requirements: { memory: '64Gi', gpu: 'a100', timeout: 901 } })).toMatchObject({
      code: 'invalid_request',
      errors: [
        { pointer: '/resource_requirements/gpu', detail: expect.stringContaining('no GPU') },
        { pointer: '/resource_requirements/memory' },
        { pointer: '/resource_requirements/timeout' },
      ],
    })
    expect(await refusal(createDeployment(world.app, stranger, wanted()))).toMatchObject({ code: 'not_found' })
    expect((await readModelUse(world.app, 'org_1', 'mod_1')).deployment_ids).toEqual([])
  })

  it('serves the newest completed optimisation, or the one that is named', async () => {
    const optimized = {
      organization_id: 'org_1',
      original_model_id: 'mod_1',
      optimization_method: 'quantization',
      storage_path: 'optimizations/x.onnx',
      size_bytes: 10,
      sha256: 'bb',
      attempts: [],
      metadata: {},
      compute_seconds: 1,
      created_at: '2026-11-20T00:00:00.000Z',
      updated_at: '2026-11-20T00:00:00.000Z',
      ...{ size_reduction_percentage: 1, latency_reduction_percentage: 1, accuracy_change_percentage: null },
      ...{
        accuracy_source: null,
        target_met: true,
        target_size_bytes: null,
        target_latency_ms: null,
        calibration_artifact: null,
      },
    }
    for (const [id, state] of [
      ['opt_1', 'completed'],
      ['opt_2', 'completed'],
      ['opt_3', 'failed'],
    ] as const) {
      await putDocument(world.app.records, 'optimization', { ...optimized, id, status: state } as never)
    }
    const newest = await createDeployment(world.app, owner, wanted({ model_type: 'optimized' }))
    expect(newest).toMatchObject({ model_id: 'mod_1', model_type: 'optimized', resolved_model_id: 'opt_2' })
    const named = await createDeployment(world.app, owner, wanted({ model_type: 'optimized', model_id: 'opt_1' }))
    expect(named).toMatchObject({ model_id: 'opt_1', resolved_model_id: 'opt_1' })
    expect(
      await refusal(createDeployment(world.app, owner, wanted({ model_type: 'optimized', model_id: 'opt_3' }))),
    ).toMatchObject({
      code: 'not_optimized',
    })
    expect((await readModelUse(world.app, 'org_1', 'mod_1')).deployment_ids).toEqual([newest.id, named.id])
  })
})
