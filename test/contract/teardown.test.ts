import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { listProvisioned, tearDownDeployments } from '../../layers/core/usecases/tear-down-deployments.ts'
import { silentLog } from '../support/deployments.ts'
import { type LambdaBench, lambdaBench, layer, runtimeCode } from '../support/lambda-bench.ts'
import { createFunction } from '../support/lambda-cloud/functions.ts'
import { type CloudState, emptyState } from '../support/lambda-cloud/state.ts'
import { type LambdaCloud, startLambdaCloud } from '../support/lambda-cloud.ts'
import { echoFunction } from '../support/model-function.ts'

let cloud: LambdaCloud
let bench: LambdaBench
const app = () => ({ deployers: new Map([['serverless', bench.deployer]]), log: silentLog })
const platform = 'aideploy-test-teardown'
beforeAll(async () => {
  const code = new Set([`${runtimeCode.bucket}/${runtimeCode.key}`])
  cloud = await startLambdaCloud({ code, layers: new Set([layer]), looks: 0, role_delay: 0 })
})
afterAll(() => cloud.stop())
beforeEach(async () => {
  cloud.state = emptyState()
  cloud.calls.length = 0
  cloud.misfortune = () => undefined
  cloud.options.run = echoFunction()
  bench = lambdaBench(cloud.endpoint)
  for (const [at, id] of ['dep_a', 'dep_b', 'dep_c'].entries()) {
    const scaling_policy = { min_instances: at, max_instances: 3, target_cpu_utilization: 70 }
    await bench.deployer.deploy(await bench.target({ id, scaling_policy }))
  }
})
afterEach(() => bench.end())

const left = async (): Promise<string[]> => [
  ...[...cloud.state.functions.keys()].filter((name) => name !== platform),
  ...cloud.state.roles.keys(),
  ...cloud.state.logGroups.keys(),
  ...cloud.state.scalable.keys(),
  ...(await bench.artifacts.list('deployments/')),
]

describe('tearing a stage down', () => {
  test('names every deployment, then leaves none', async () => {
    expect(await left()).not.toEqual([])
    expect(await listProvisioned(app())).toEqual(['serverless: dep_a', 'serverless: dep_b', 'serverless: dep_c'])
    expect((await tearDownDeployments(app())).removed.length).toBe(3)
    expect(await left()).toEqual([])
  })

  test('cut off at any call and repeated, leaves none', async () => {
    const before: CloudState = structuredClone(cloud.state)
    cloud.calls.length = 0
    await tearDownDeployments(app())
    const calls = cloud.calls.length
    expect(calls).toBeGreaterThan(20)
    for (let last = 0; last < calls; last += 1) {
      cloud.state = structuredClone(before)
      cloud.calls.length = 0
      cloud.misfortune = (_action, at) => (at < last ? undefined : at === last ? 'lost' : 'error')
      await expect(tearDownDeployments(app())).rejects.toThrow()
      cloud.misfortune = () => undefined
      await tearDownDeployments(app())
      expect(await left(), `cut off after call ${last}`).toEqual([])
    }
  })

  test('half made deployments go too, and what belongs to another stage stays', async () => {
    for (const fn of cloud.state.functions.values()) fn.aliases.clear()
    cloud.state.functions.delete('aideploy-test-m-dep_b')
    const role = cloud.state.roles.get('aideploy-test-m-dep_a')
    if (role) cloud.state.roles.set('aideploy-prod-m-dep_a', { ...role, name: 'aideploy-prod-m-dep_a', path: '/aideploy/prod/' })
    await tearDownDeployments(app())
    expect(await left()).toEqual(['aideploy-prod-m-dep_a'])
  })
})

describe('npm run aws:teardown', () => {
  const withPlatform = (): void => {
    const { run } = cloud.options
    cloud.options.run = async (call) => {
      if (call.name !== platform) return run(call)
      const order = call.event as { remove: boolean }
      return order.remove
        ? { left: [], ...(await tearDownDeployments(app())) }
        : { left: await listProvisioned(app()), removed: [] }
    }
    const body = {
      FunctionName: platform,
      Role: 'arn:aws:iam::123456789012:role/aideploy-test-m-dep_a',
      Code: { S3Bucket: 'assets', S3Key: 'runtime.zip' },
    }
    Object.assign(createFunction(cloud.state, cloud.options, body).latest, { state: 'Active' })
  }
  const command = async (...args: string[]) => {
    const env = { PATH: process.env.PATH, AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' }
    const child = spawn(process.execPath, [join(import.meta.dirname, '../../bin/teardown.ts'), ...args], { env })
    child.stdin.end()
    const said = Promise.all([text(child.stdout), text(child.stderr)])
    const [code] = await once(child, 'exit')
    const [out, complaints] = await said
    return { code, out, complaints }
  }

  test('lists first, removes with --yes, and has nothing to do the next time', async () => {
    withPlatform()
    const args = ['--stage', 'test', '--endpoint', cloud.endpoint]
    const listed = await command(...args)
    expect(listed).toMatchObject({ code: 1, out: 'serverless: dep_a\nserverless: dep_b\nserverless: dep_c\n' })
    expect(listed.complaints).toMatch(/--yes/)
    expect((await left()).length).toBeGreaterThan(9)
    const removed = await command(...args, '--yes')
    expect(removed).toMatchObject({ code: 0, out: expect.stringMatching(/Removed:\nserverless: dep_a: function, role/) })
    expect(await left()).toEqual([])
    expect(await command(...args)).toMatchObject({ code: 0, out: 'Nothing of deployments is left in stage test\n' })
  })

  test('says what to do when it could not finish', async () => {
    const failed = await command('--stage', 'test', '--endpoint', cloud.endpoint, '--yes')
    expect(failed).toMatchObject({ code: 1, complaints: expect.stringMatching(/Function not found.*\nRepeat the command/) })
    expect(await command()).toMatchObject({ code: 2, complaints: expect.stringMatching(/--stage is missing/) })
  })
})

describe('the stack', () => {
  test('is told at the address it sent, and waits for the removal only when it goes', async () => {
    const heard: unknown[] = []
    const server = createServer(async (request, response) => {
      heard.push(JSON.parse(await text(request)))
      response.end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const { stackEvent } = await import('../../functions/entry/stack-event.ts')
    const event = (RequestType: string) => ({
      ...{
        RequestType,
        ResponseURL: `http://127.0.0.1:${port}/answer`,
        StackId: 'stack',
        RequestId: 'r',
        LogicalResourceId: 'Teardown',
      },
      ...(RequestType === 'Create' ? {} : { PhysicalResourceId: 'deployments' }),
    })
    let removals = 0
    const handle = stackEvent(silentLog, async () => {
      removals += 1
      if (removals > 1) throw new Error('dep_a is still there')
      return 'nothing left'
    })
    await handle(event('Create'))
    await handle(event('Update'))
    expect(removals).toBe(0)
    await handle(event('Delete'))
    await expect(handle(event('Delete'))).rejects.toThrow('still there')
    const named = { PhysicalResourceId: 'deployments', StackId: 'stack', RequestId: 'r', LogicalResourceId: 'Teardown' }
    expect(heard).toEqual([
      { ...named, Status: 'SUCCESS', Reason: 'nothing to do' },
      { ...named, Status: 'SUCCESS', Reason: 'nothing to do' },
      { ...named, Status: 'SUCCESS', Reason: 'nothing left' },
      { ...named, Status: 'FAILED', Reason: 'dep_a is still there' },
    ])
    expect(await handle({ remove: true })).toBe(false)
    server.close()
  })
})
