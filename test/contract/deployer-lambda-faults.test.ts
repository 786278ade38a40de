import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Deployment } from '../../layers/core/domain/deployment.ts'
import type { Deployer, DeployTarget } from '../../layers/core/ports/deployer.ts'
import { type LambdaBench, lambdaBench, layer, remembered, runtimeCode } from '../support/lambda-bench.ts'
import { type CloudState, emptyState } from '../support/lambda-cloud/state.ts'
import { type LambdaCloud, type Misfortune, startLambdaCloud } from '../support/lambda-cloud.ts'
import { echoFunction } from '../support/model-function.ts'

/** Every verb is cut off after every one of its calls, and made to go through every single misfortune. */

let cloud: LambdaCloud
/** One attempt per call: what fails ends the verb. */
let bench: LambdaBench
/** The SDK's own repeats. */
let patient: LambdaBench
beforeAll(async () => {
  const code = new Set([`${runtimeCode.bucket}/${runtimeCode.key}`])
  cloud = await startLambdaCloud({ code, layers: new Set([layer]), looks: 0, run: echoFunction() })
  bench = lambdaBench(cloud.endpoint)
  patient = lambdaBench(cloud.endpoint, { artifacts: bench.artifacts }, 3)
})
afterAll(async () => {
  bench.end()
  patient.end()
  await cloud.stop()
})
beforeEach(() => restart())

const restart = (state: CloudState = emptyState()): void => {
  cloud.state = structuredClone(state)
  cloud.calls.length = 0
  cloud.misfortune = () => undefined
}
const warm: Partial<Deployment> = { scaling_policy: { min_instances: 1, max_instances: 2, target_cpu_utilization: 70 } }
const name = 'aideploy-test-m-dep_1'

/** What a finished deployment looks like, without the names that every run makes up. */
const shape = () => {
  const fn = cloud.state.functions.get(name)
  const alias = fn?.aliases.get('live')
  const serving = fn?.versions.get(alias?.version ?? '')
  return {
    functions: cloud.state.functions.size,
    description: serving?.description,
    weights: alias?.weights,
    statements: [...(alias?.statements.keys() ?? [])].sort(),
    has_address: alias?.url !== undefined,
    warm: alias?.provisioned?.requested,
    reserved: fn?.reserved,
    scalable: [...cloud.state.scalable.entries()].map(([id, { min, max, policies }]) => [id, min, max, policies.size]),
    roles: [...cloud.state.roles.values()].map(({ name: role, policies }) => [role, ...policies.keys()]),
    groups: [...cloud.state.logGroups.entries()].map(([group, { retention }]) => [group, retention]),
  }
}

type Verb = (deployer: Deployer) => Promise<unknown>
interface Scene {
  before: CloudState
  verb: Verb
}

const first = async (): Promise<DeployTarget> => {
  const target = await bench.target(warm)
  return remembered(target, await bench.deployer.deploy(target))
}
const afterFirst = async (): Promise<{ state: CloudState; target: DeployTarget }> => {
  restart()
  const target = await first()
  return { target, state: structuredClone(cloud.state) }
}

const scenes: Record<string, () => Promise<Scene>> = {
  'the first deploy': async () => {
    const target = await bench.target(warm)
    return { before: emptyState(), verb: (deployer) => deployer.deploy(target) }
  },
  'the second deploy': async () => {
    const { state, target } = await afterFirst()
    const second = { ...target, deployment: { ...target.deployment, revision: 2, metadata: { rollout_seconds: 15 } } }
    return { before: state, verb: (deployer) => deployer.deploy(second) }
  },
  hibernate: async () => {
    const { state, target } = await afterFirst()
    const stopped = { ...target, deployment: { ...target.deployment, status: 'stopped' as const } }
    return { before: state, verb: (deployer) => deployer.hibernate(stopped) }
  },
  activate: async () => {
    const { target } = await afterFirst()
    await bench.deployer.hibernate({ ...target, deployment: { ...target.deployment, status: 'stopped' } })
    return { before: structuredClone(cloud.state), verb: (deployer) => deployer.activate(target) }
  },
  undeploy: async () => {
    const { state, target } = await afterFirst()
    return { before: state, verb: (deployer) => deployer.undeploy(target) }
  },
  reconcile: async () => {
    const { state, target } = await afterFirst()
    state.roles.clear()
    state.scalable.clear()
    state.functions.get(name)?.aliases.get('live')?.statements.clear()
    return { before: state, verb: async (deployer) => deployer.reconcile?.(target) }
  },
}

/** How it ends when nothing goes wrong, and in how many calls. */
const undisturbed = async ({ before, verb }: Scene) => {
  restart(before)
  await verb(bench.deployer)
  return { end: shape(), calls: [...cloud.calls] }
}

describe.each(Object.entries(scenes))('%s', (_, scene) => {
  test('cut off after any call, then repeated, ends as if nothing had happened', async () => {
    const { before, verb } = await scene()
    const { end, calls } = await undisturbed({ before, verb })
    expect(calls.length).toBeGreaterThan(4)
    let cut = 0
    for (let last = 0; last < calls.length; last += 1) {
      restart(before)
      // The last call is done but nobody hears of it, and the process makes no further one.
      cloud.misfortune = (_action, at): Misfortune | undefined => (at < last ? undefined : at === last ? 'lost' : 'error')
      cut += await verb(bench.deployer).then(
        () => 0,
        () => 1,
      )
      cloud.misfortune = () => undefined
      await verb(bench.deployer)
      expect(shape(), `cut off after call ${last}, ${calls[last]}`).toEqual(end)
    }
    // Only tidying up after a deploy may fail without a word.
    expect(calls.length - cut).toBeLessThanOrEqual(calls.filter((call) => call === 'ListVersionsByFunction').length)
  })

  const misfortunes: { kinds: readonly Misfortune[] }[] = [{ kinds: ['lost'] }, { kinds: ['throttle', 'error'] }]
  test.each(misfortunes)('one misfortune ($kinds) at any call is survived without a repeat', async ({ kinds }) => {
    const { before, verb } = await scene()
    const { end, calls } = await undisturbed({ before, verb })
    // Calling the model is not repeated by the SDK: it has its own limit.
    for (let bad = 0; bad < calls.length; bad += 1) {
      if (calls[bad] === 'Invoke') continue
      restart(before)
      const kind = kinds[bad % kinds.length]
      cloud.misfortune = (_action, at) => (at === bad ? kind : undefined)
      await verb(patient.deployer)
      expect(shape(), `${kind} at call ${bad}, ${calls[bad]}`).toEqual(end)
    }
  })
})

test('nothing but throttling ends as a failure that may be repeated, not as one of the model', async () => {
  const target = await bench.target(warm)
  cloud.misfortune = () => 'throttle'
  await expect(bench.deployer.deploy(target)).rejects.toMatchObject({ code: 'unavailable', status: 503 })
})

test('work that AWS never finishes ends after a limit', async () => {
  const slow = lambdaBench(cloud.endpoint, { artifacts: bench.artifacts })
  cloud.options.looks = 1_000_000
  const target = await bench.target()
  await expect(slow.deployer.deploy(target)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(/took longer than 180 s/),
  })
  cloud.options.looks = 0
  slow.end()
})

test('a function that AWS could not make is told with its reason', async () => {
  const target = await bench.target()
  await bench.deployer.deploy(target)
  const fn = cloud.state.functions.get(name)
  Object.assign(fn?.latest ?? {}, { last_update: 'Failed' })
  const next = { ...target, deployment: { ...target.deployment, revision: 2 } }
  await expect(bench.deployer.deploy(next)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(/could not make function/),
  })
})
