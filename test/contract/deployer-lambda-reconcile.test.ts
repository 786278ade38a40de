import { describe, expect, test } from 'vitest'

import { remembered } from '../support/lambda-bench.ts'
import { lambdaStage, name, nothing, scaling } from '../support/lambda-stage.ts'

const stage = lambdaStage()

describe('reconcile', () => {
  const drifts: [what: string, drift: () => void, repaired: RegExp][] = [
    [
      'log retention',
      () => stage.cloud.state.logGroups.set('/aideploy/test/m/dep_1', { retention: undefined, tags: {} }),
      /log retention set to 14/,
    ],
    ['log group', () => stage.cloud.state.logGroups.clear(), /log group made/],
    ['policy', () => stage.cloud.state.roles.get(name)?.policies.set('model', '{}'), /role's policy set/],
    ['another policy', () => stage.cloud.state.roles.get(name)?.policies.set('admin', '{}'), /role's policy admin removed/],
    ['boundary', () => Object.assign(stage.cloud.state.roles.get(name) ?? {}, { boundary: undefined }), /boundary set/],
    ['trust', () => Object.assign(stage.cloud.state.roles.get(name) ?? {}, { trust: '{}' }), /trust policy set/],
    ['role', () => stage.cloud.state.roles.clear(), /role made/],
    ['alias shares', () => Object.assign(stage.live(), { weights: { '1': 0.1 }, version: '2' }), /alias pointed at version 2/],
    ['alias', () => Object.assign(stage.live(), { version: '1' }), /alias pointed at version 2 instead of 1/],
    ['permission', () => stage.live().statements.delete('url-invoke'), /permission url-invoke given/],
    ['address settings', () => Object.assign(stage.live().url?.config ?? {}, { AuthType: 'AWS_IAM' }), /address set up/],
    ['warm instances', () => delete stage.live().provisioned, /1 instances kept warm/],
    ['scaling', () => stage.cloud.state.scalable.clear(), /1 instances kept warm/],
    ['limit', () => Object.assign(stage.cloud.state.functions.get(name) ?? {}, { reserved: 9 }), /reserved concurrency set to 3/],
  ]
  test.each(drifts)('repairs %s, once', async (_, drift, repaired) => {
    await stage.up(scaling(1, 3))
    const second = await stage.bench.target({ revision: 2, ...scaling(1, 3) })
    const target = remembered(second, await stage.bench.deployer.deploy(second))
    expect(await stage.bench.deployer.reconcile?.(target)).toEqual([])
    drift()
    const done = await stage.bench.deployer.reconcile?.(target)
    expect(done?.join()).toMatch(repaired)
    expect(await stage.bench.deployer.reconcile?.(target)).toEqual([])
  })

  test('makes nothing beside a function that is gone', async () => {
    const target = await stage.up()
    await stage.bench.deployer.undeploy(target)
    expect(await stage.bench.deployer.reconcile?.(target)).toEqual([expect.stringMatching(/is gone: only a new revision/)])
    expect(await stage.left()).toEqual(nothing)
  })

  test('sweeps what is left of deployments nobody knows, and only of this stage', async () => {
    const kept = await stage.up({ id: 'dep_kept' })
    const gone = await stage.up({ id: 'dep_gone' })
    stage.cloud.state.functions.delete('aideploy-test-m-dep_gone')
    stage.cloud.state.functions.set('aideploy-prod-m-dep_x', {
      ...structuredClone({ ...stage.cloud.state.functions.get('aideploy-test-m-dep_kept'), aliases: new Map() }),
      name: 'aideploy-prod-m-dep_x',
    } as never)
    const removed = await stage.bench.deployer.sweep?.(async (id) => id === 'dep_kept')
    expect(removed).toEqual([expect.stringMatching(/^dep_gone: role, log group/)])
    expect([...stage.cloud.state.roles.keys()]).toEqual(['aideploy-test-m-dep_kept'])
    expect([...stage.cloud.state.functions.keys()].sort()).toEqual(['aideploy-prod-m-dep_x', 'aideploy-test-m-dep_kept'])
    expect((await stage.bench.artifacts.list('deployments/')).every((key) => key.includes('dep_kept'))).toBe(true)
    expect(await stage.bench.deployer.status(kept)).toMatchObject({ ready: true })
    expect(await stage.bench.deployer.status(gone)).toMatchObject({ ready: false })
  })
})
