import { describe, expect, test } from 'vitest'
import { priceBookFrom } from '../../layers/core/domain/price.ts'
import { inferText, remembered } from '../support/lambda-bench.ts'
import { lambdaStage, name, Said, scaling } from '../support/lambda-stage.ts'

const stage = lambdaStage()

describe('a new revision', () => {
  test('takes the alias over once its model is loaded; the last three stay published', async () => {
    const first = await stage.up()
    for (const revision of [2, 3, 4, 5]) {
      const target = await stage.bench.target({ revision, deployer_state: first.deployment.deployer_state })
      const state = await stage.bench.deployer.deploy(target)
      expect(state.endpoint).toBe(first.deployment.deployer_state.endpoint)
      expect(Said.parse(JSON.parse((await inferText(stage.bench.deployer, target, '{}')).text)).revision).toBe(revision)
    }
    const versions = [...(stage.cloud.state.functions.get(name)?.versions.values() ?? [])]
    expect(versions.map(({ description }) => description.split(' ')[1])).toEqual(['3', '4', '5'])
    const folders = (await stage.bench.artifacts.list('deployments/dep_1/')).map((key) => key.split('/')[2])
    expect([...new Set(folders)].sort()).toEqual(['3', '4', '5'])
  })

  test('that cannot load its model never gets a request and leaves nothing of itself', async () => {
    const first = await stage.up()
    stage.broken.add(2)
    const refused = stage.bench.deployer.deploy(await stage.bench.target({ revision: 2 }))
    await expect(refused).rejects.toMatchObject({
      code: 'model_error',
      message: expect.stringContaining('revision 2 cannot load'),
    })
    expect(stage.live()).toMatchObject({ version: '1', weights: {} })
    expect([...(stage.cloud.state.functions.get(name)?.versions.keys() ?? [])]).toEqual(['1'])
    expect(stage.cloud.state.counts.get(`${name}:live#2`)).toBeUndefined()
    expect(await stage.bench.artifacts.list('deployments/dep_1/2/')).toEqual([])
    expect(Said.parse(JSON.parse((await inferText(stage.bench.deployer, first, '{}')).text)).revision).toBe(1)
    stage.broken.clear()
    const again = await stage.bench.deployer.deploy(await stage.bench.target({ revision: 2 }))
    expect(again).toMatchObject({ revision: 2, version: '3' })
  })

  test('is watched with a tenth of the requests and taken back when they fail', async () => {
    await stage.up()
    const seen: unknown[] = []
    let waited_ms = 0
    const watched = stage.open({
      pause: async (ms) => {
        const { version, weights } = stage.live()
        if (Object.keys(weights).length > 0) waited_ms += ms
        seen.push({ version, weights: { ...weights } })
        stage.cloud.state.counts.set(`${name}:live#1`, { invocations: 90, errors: 1 })
        if (waited_ms >= 30_000) stage.cloud.state.counts.set(`${name}:live#2`, { invocations: 12, errors: 3 })
      },
    })
    const target = { ...(await watched.target({ revision: 2, metadata: { rollout_seconds: 45 } })) }
    await expect(watched.deployer.deploy(target)).rejects.toMatchObject({
      code: 'model_error',
      message: expect.stringMatching(/3 of 12 requests failed \(25\.0 %, allowed 5\.0 %; the version before: 1 of 90\)/),
    })
    expect(seen).toContainEqual({ version: '1', weights: { '2': 0.1 } })
    expect(waited_ms).toBe(30_000)
    expect(stage.live()).toMatchObject({ version: '1', weights: {} })
    expect([...(stage.cloud.state.functions.get(name)?.versions.keys() ?? [])]).toEqual(['1'])

    stage.cloud.state.counts.clear()
    const quiet = stage.open()
    await expect(
      quiet.deployer.deploy(await quiet.target({ revision: 3, metadata: { rollout_seconds: 60 } })),
    ).resolves.toMatchObject({ revision: 3 })
    expect(stage.live().weights).toEqual({})
    quiet.end()
    watched.end()
  })

  test('that comes after its successor is refused', async () => {
    await stage.up({ revision: 2 })
    await expect(stage.bench.deployer.deploy(await stage.bench.target({ revision: 1 }))).rejects.toMatchObject({
      code: 'conflict',
    })
    expect(stage.live().version).toBe('1')
  })

  test('two at once end with the higher one in force', async () => {
    await stage.up()
    const targets = [await stage.bench.target({ revision: 2 }), await stage.bench.target({ revision: 3 })]
    const others = [stage.open({ artifacts: stage.bench.artifacts }), stage.open({ artifacts: stage.bench.artifacts })]
    for (let round = 0; round < 3; round += 1)
      await Promise.allSettled(targets.map((target, at) => (others[at] ?? stage.bench).deployer.deploy(target)))
    const { description } = stage.cloud.state.functions.get(name)?.versions.get(stage.live().version) ?? { description: '' }
    expect(description).toMatch(/^revision 3 /)
    expect(stage.live().weights).toEqual({})
    for (const other of others) other.end()
  })
})

describe('canary and ladder', () => {
  test('a share goes to another revision and comes back', async () => {
    await stage.up()
    const second = await stage.bench.target({ revision: 2 })
    const target = remembered(second, await stage.bench.deployer.deploy(second))
    await stage.bench.deployer.shift?.(target, { revision: 1, percent: 50 })
    expect(stage.live()).toMatchObject({ version: '2', weights: { '1': 0.5 } })
    const canary = { ...target, deployment: { ...target.deployment, canary: { revision: 1, percent: 50 } } }
    expect(await stage.bench.deployer.reconcile?.(canary)).toEqual([])
    await expect(stage.bench.deployer.shift?.(target, { revision: 7, percent: 5 })).rejects.toMatchObject({ code: 'not_found' })
    await stage.bench.deployer.hibernate(canary)
    expect(stage.live()).toMatchObject({ version: '2', weights: {} })
    await stage.bench.deployer.shift?.(target, null)
    expect(stage.live().weights).toEqual({})
  })

  test('every rung has a price, a wake time and where they come from', async () => {
    const target = await stage.up(scaling(1, 2))
    const price = (sku: string, usd_per_unit: number) => ({
      sku,
      region: 'us-east-1',
      unit: 'x',
      usd_per_unit,
      from_quantity: 0,
      source: 's',
      effective_date: 'd',
      fetched_at: 'f',
    })
    const prices = priceBookFrom('list', [
      price('aws/lambda/arm64/provisioned-concurrency-gb-second', 0.0000033334),
      price('aws/s3/standard/gb-month', 0.023),
      price('aws/s3/glacier-ir/gb-month', 0.004),
    ])
    const rungs = stage.bench.deployer.ladder?.(target, prices) ?? []
    expect(rungs.map(({ name: rung, current }) => [rung, current])).toEqual([
      ['warm', true],
      ['scaled_to_zero', false],
      ['model_archived', false],
    ])
    expect(rungs[0]?.usd_per_month).toBeCloseTo((1769 / 1024) * 730 * 3600 * 0.0000033334, 4)
    expect(rungs[1]?.usd_per_month).toBeLessThan(0.001)
    expect(rungs[2]?.usd_per_month).toBeLessThan(rungs[1]?.usd_per_month ?? 0)
    expect(rungs[1]?.wake_basis).toBe('measured when this revision was brought up')
    expect(stage.bench.deployer.ladder?.(target, priceBookFrom('none', []))?.map((rung) => rung.usd_per_month)).toEqual([
      null,
      null,
      null,
    ])
  })
})
