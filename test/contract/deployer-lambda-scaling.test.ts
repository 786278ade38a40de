import { describe, expect, test } from 'vitest'
import { stateOf } from '../../layers/deployers/lambda/state.ts'
import { inferText, remembered, request } from '../support/lambda-bench.ts'
import { lambdaStage, name, scaling } from '../support/lambda-stage.ts'

const stage = lambdaStage()

describe('scaling', () => {
  test('keeps min_instances warm on the alias, adds by use up to max_instances, and sleeping releases all of it', async () => {
    const target = await stage.up(scaling(2, 7))
    expect(stage.cloud.state.functions.get(name)?.reserved).toBe(7)
    expect(stage.live().provisioned?.requested).toBe(2)
    const policy = {
      TargetValue: 0.9,
      PredefinedMetricSpecification: { PredefinedMetricType: 'LambdaProvisionedConcurrencyUtilization' },
    }
    const scalable = stage.cloud.state.scalable.get(`function:${name}:live`)
    expect(scalable).toMatchObject({ min: 2, max: 7 })
    expect([...(scalable?.policies.values() ?? [])]).toMatchObject([{ TargetTrackingScalingPolicyConfiguration: policy }])
    expect(await stage.bench.deployer.status(target)).toEqual({ ready: true, instances: 2 })
    await stage.bench.deployer.hibernate(target)
    expect(stage.live().provisioned).toBeUndefined()
    expect(stage.cloud.state.scalable.size).toBe(0)
    await stage.bench.deployer.activate(target)
    expect(await stage.bench.deployer.status(target)).toEqual({ ready: true, instances: 2 })
  })

  test('an account without room has its limit kept by the platform, and says so', async () => {
    stage.cloud.options.concurrency = 104
    const target = await stage.up(scaling(0, 5))
    const state = stateOf(target.deployment.deployer_state)
    expect(state?.admission).toBe('platform')
    expect(state?.notes[0]).toMatch(/max_instances 5 is not reserved/)
    expect(stage.cloud.state.functions.get(name)?.reserved).toBeUndefined()
    expect(stage.cloud.state.functions.get(name)?.latest.environment.AIDEPLOY_MAX_INSTANCES).toBe('5')
    expect((await stage.bench.deployer.status(target)).detail).toMatch(/not reserved/)
    const answers = await Promise.allSettled(
      Array.from({ length: 9 }, () => stage.bench.deployer.infer(target, request(Buffer.from('{}')))),
    )
    const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))
    expect(refused.length).toBe(4)
    for (const reason of refused) expect(reason).toMatchObject({ code: 'overloaded' })
    await stage.bench.deployer.hibernate(target)
  })

  test('more memory than the account may have is refused in AWS’s words', async () => {
    stage.cloud.options.most_memory_mb = 3008
    const base = (await stage.bench.target()).deployment.resource_requirements
    const target = await stage.bench.target({ resource_requirements: { ...base, memory: '4Gi' } })
    await expect(stage.bench.deployer.deploy(target)).rejects.toMatchObject({
      code: 'unavailable_here',
      status: 422,
      message: expect.stringContaining('less than or equal to 3008'),
    })
  })

  test('warm instances beyond the quota are refused with what to do', async () => {
    stage.cloud.options.concurrency = 101
    const target = await stage.bench.target(scaling(3, 3))
    await expect(stage.bench.deployer.deploy(target)).rejects.toMatchObject({
      code: 'unavailable_here',
      message: expect.stringMatching(/Concurrent executions/),
    })
  })

  test('stopping closes the address, waking opens it', async () => {
    const target = await stage.up()
    const stopped = { ...target, deployment: { ...target.deployment, status: 'stopped' as const } }
    await stage.bench.deployer.hibernate(stopped)
    expect((await fetch(`${target.deployment.endpoint}/`, { method: 'POST' })).status).toBe(429)
    await expect(inferText(stage.bench.deployer, target, '{}')).rejects.toMatchObject({ code: 'overloaded', status: 429 })
    await stage.bench.deployer.activate(target)
    expect((await fetch(`${target.deployment.endpoint}/`, { method: 'POST' })).status).toBe(200)
  })

  test('one that was stopped opens again where the account has no room left for its reservation', async () => {
    const target = await stage.up(scaling(0, 5))
    const stopped = { ...target, deployment: { ...target.deployment, status: 'stopped' as const } }
    await stage.bench.deployer.hibernate(stopped)
    stage.cloud.options.concurrency = 102
    await stage.bench.deployer.activate(target)
    expect(stage.cloud.state.functions.get(name)?.reserved).toBeUndefined()
    expect((await fetch(`${target.deployment.endpoint}/`, { method: 'POST' })).status).toBe(200)
  })

  test('one that sleeps takes a revision on without being watched or warmed', async () => {
    const before = await stage.up(scaling(2, 3))
    await stage.bench.deployer.hibernate(before)
    stage.cloud.calls.length = 0
    const transition = { id: 'trn_1', until: '', from: 'hibernated' as const, revision: 2 }
    await stage.bench.deployer.deploy(await stage.bench.target({ revision: 2, transition, metadata: {}, ...scaling(2, 3) }))
    expect(stage.cloud.calls.filter((call) => /GetMetricData|PutProvisioned|Register/.test(call))).toEqual([])
    expect(stage.live()).toMatchObject({ version: '2', weights: {} })
  })

  test('a revision with less takes back what the one before kept warm', async () => {
    await stage.up(scaling(5, 10))
    const second = await stage.bench.target({ revision: 2, ...scaling(1, 2) })
    const target = remembered(second, await stage.bench.deployer.deploy(second))
    expect(target.deployment.deployer_state.admission).toBe('reserved_concurrency')
    expect(stage.cloud.state.functions.get(name)?.reserved).toBe(2)
    expect(await stage.bench.deployer.status(target)).toEqual({ ready: true, instances: 1 })
  })

  test('a failed warming is told, and repaired at the next try', async () => {
    const target = await stage.up(scaling(1, 2))
    const warm = stage.live().provisioned
    if (warm) warm.failed = 'no capacity'
    expect(await stage.bench.deployer.status(target)).toMatchObject({
      ready: false,
      detail: expect.stringContaining('no capacity'),
    })
    expect(await stage.bench.deployer.reconcile?.(target)).toEqual(['1 instances kept warm'])
    expect(await stage.bench.deployer.status(target)).toEqual({ ready: true, instances: 1 })
  })
})
