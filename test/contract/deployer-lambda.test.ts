import { hash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ModelManifest } from '../../layers/core/contract/model-function.ts'
import type { Artifacts } from '../../layers/core/ports/artifacts.ts'
import { stateOf } from '../../layers/deployers/lambda/state.ts'
import { writeServingForm } from '../../layers/onnx/serving-form.ts'
import { inferText, layer, request } from '../support/lambda-bench.ts'
import { lambdaStage, name, nothing, Said } from '../support/lambda-stage.ts'

const stage = lambdaStage()

describe('life of a deployment on Lambda', () => {
  test('comes up, answers by both ways, sleeps, wakes and leaves nothing behind', async () => {
    const target = await stage.up()
    const state = stateOf(target.deployment.deployer_state)
    expect(state).toMatchObject({ function_name: name, version: '1', revision: 1, architecture: 'arm64', memory_mb: 1769 })
    expect(state).toMatchObject({ ephemeral_mb: 512, provisioned: 0, admission: 'reserved_concurrency', notes: [] })
    const direct = await fetch(`${state?.endpoint}/v2/models/m/infer`, { method: 'POST', body: '{"a":1}' })
    expect(Said.parse(await direct.json())).toEqual({ revision: 1, path: '/v2/models/m/infer', body: '{"a":1}', by: 'url' })
    const through = await inferText(stage.bench.deployer, target, '{"b":2}')
    expect(Said.parse(JSON.parse(through.text))).toEqual({
      revision: 1,
      path: '/v2/models/m/infer',
      body: '{"b":2}',
      by: 'platform',
    })
    expect(through.usage).toEqual({ compute_us: 7, cpu_us: 6, cold: true, init_us: 5, memory_bytes: 4, batch_size: 1 })
    expect(through.headers).toEqual({ 'content-type': 'application/json' })

    await stage.bench.deployer.hibernate(target)
    expect(await stage.bench.deployer.status(target)).toMatchObject({ ready: true, instances: 0 })
    expect((await fetch(`${state?.endpoint}/v2/health/live`, { method: 'POST', body: '{}' })).status).toBe(200)
    await stage.bench.deployer.activate(target)
    await stage.bench.deployer.undeploy(target)
    await stage.bench.deployer.undeploy(target)
    expect(await stage.left()).toEqual(nothing)
    expect((await fetch(`${state?.endpoint}/`, { method: 'POST', body: '{}' })).status).toBe(403)
    expect(await stage.bench.deployer.status(target)).toEqual({ ready: false, instances: 0, detail: 'there is no function' })
    await expect(inferText(stage.bench.deployer, target, '{}')).rejects.toMatchObject({ code: 'deployment_unavailable' })
  })

  test('makes function, role, log group and address as they should be', async () => {
    await stage.up({ resource_requirements: { cpu: '2', memory: '512Mi', gpu: null, timeout: 898 } })
    const fn = stage.cloud.state.functions.get(name)
    expect(fn?.latest).toMatchObject({
      memory_mb: 3538,
      timeout_s: 900,
      architectures: ['arm64'],
      runtime: 'nodejs24.x',
      layers: [layer],
    })
    expect(fn?.latest.environment).toMatchObject({
      AIDEPLOY_THREADS: '2',
      AIDEPLOY_USER_POOL_ID: 'us-east-1_pool',
      AIDEPLOY_ENDPOINT_AUTH: 'token',
    })
    expect(fn?.tags).toEqual({ 'aideploy:deployment': 'dep_1', 'aideploy:stage': 'test', 'aideploy:organization': 'org_1' })
    expect(stage.cloud.state.roles.get(name)).toMatchObject({
      path: '/aideploy/test/',
      boundary: 'arn:aws:iam::123456789012:policy/aideploy/test-boundary',
    })
    expect([...stage.cloud.state.logGroups]).toEqual([['/aideploy/test/m/dep_1', { retention: 14, tags: fn?.tags }]])
    expect(stage.live().url?.config).toMatchObject({
      AuthType: 'NONE',
      InvokeMode: 'RESPONSE_STREAM',
      Cors: { AllowOrigins: ['https://app.example.org'] },
    })
    expect([...stage.live().statements.values()]).toMatchObject([
      { Action: 'lambda:InvokeFunctionUrl', Principal: '*', FunctionUrlAuthType: 'NONE' },
      { Action: 'lambda:InvokeFunction', Principal: '*', InvokedViaFunctionUrl: true },
    ])
  })

  test('stores the serving form once, with a manifest whose sha256 stands in the environment', async () => {
    stage.bench.end()
    stage.bench = stage.open({ writeServingForm })
    const target = await stage.up()
    const keys = await stage.bench.artifacts.list('deployments/dep_1/')
    expect(keys.sort()).toEqual(['manifest.json', 'model.onnx', 'weights.bin'].map((file) => `deployments/dep_1/1/${file}`))
    const environment = stage.cloud.state.functions.get(name)?.latest.environment ?? {}
    const text = await (await stage.bench.artifacts.read(environment.AIDEPLOY_MANIFEST_KEY ?? '')).toArray()
    const manifest = ModelManifest.parse(JSON.parse(Buffer.concat(text).toString()))
    expect(hash('sha256', Buffer.concat(text), 'hex')).toBe(environment.AIDEPLOY_MANIFEST_SHA256)
    expect(manifest).toMatchObject({ organization_id: 'org_1', deployment_id: 'dep_1', revision: 1, name: 'my model' })
    for (const file of manifest.files) expect(await stage.bench.artifacts.stat(file.key)).toEqual({ size_bytes: file.size_bytes })
    const calls = stage.cloud.calls.length
    await stage.bench.deployer.deploy(target)
    expect(stage.cloud.calls.slice(calls).filter((call) => /^(Create|Put|Publish|Update|Add|Invoke)/.test(call))).toEqual([])
  })
})

test('a crash while files are stored leaves no manifest that names what is not there', async () => {
  for (const last of [0, 1, 2]) {
    let puts = 0
    const target = await stage.bench.target({ id: `dep_${last}` })
    const artifacts: Artifacts = {
      ...stage.bench.artifacts,
      put: async (...given) => {
        if (puts++ >= last) throw new Error('killed')
        return stage.bench.artifacts.put(...given)
      },
    }
    const dying = stage.open({ artifacts, writeServingForm })
    await expect(dying.deployer.deploy(target)).rejects.toThrow()
    dying.end()
    expect(await stage.bench.artifacts.stat(`deployments/dep_${last}/1/manifest.json`)).toBeUndefined()
    expect(await stage.bench.deployer.deploy(target)).toMatchObject({ revision: 1 })
    expect(await stage.bench.artifacts.stat(`deployments/dep_${last}/1/manifest.json`)).toBeDefined()
  }
})

describe('calls through the platform', () => {
  test('that are too large are told the direct endpoint', async () => {
    const target = await stage.up()
    const large = stage.bench.deployer.infer(target, request(Buffer.alloc(5_000_000)))
    await expect(large).rejects.toMatchObject({
      code: 'payload_too_large',
      extras: { facts: { endpoint: target.deployment.endpoint } },
    })
    const whole = Buffer.alloc(4_600_000, 97)
    expect(Said.parse(JSON.parse((await inferText(stage.bench.deployer, target, whole.toString())).text)).body.length).toBe(
      whole.length,
    )
  })

  test('that crash the function or break off are told as such', async () => {
    const target = await stage.up()
    stage.broken.add(1)
    await expect(inferText(stage.bench.deployer, target, '{}')).rejects.toMatchObject({
      code: 'model_crashed',
      message: expect.stringContaining('cannot load'),
    })
    stage.cloud.options.run = async () => {
      throw new Error('Task timed out after 35.00 seconds')
    }
    await expect(inferText(stage.bench.deployer, target, '{}')).rejects.toMatchObject({ code: 'timeout' })
    stage.cloud.options.run = async () => ({ said: 'no status' })
    await expect(inferText(stage.bench.deployer, target, '{}')).rejects.toMatchObject({ code: 'model_crashed' })
  })
})

describe('settings', () => {
  const issues = (resource_requirements: object, metadata: object = {}) =>
    stage.bench.deployer.settings
      .safeParse({
        resource_requirements: { cpu: '1', memory: '1Gi', gpu: null, timeout: 30, ...resource_requirements },
        metadata,
      })
      .error?.issues.map(({ path, message }) => `${path.join('/')}: ${message}`) ?? []

  test('name what Lambda has, and where more is to be had', () => {
    expect(issues({})).toEqual([])
    expect(issues({ memory: '10240Mi' })).toEqual([])
    expect(issues({ memory: '10241Mi' })).toEqual([
      expect.stringMatching(/requirements\/memory: got 10241Mi, wanted 128 to 10240 MB.*sagemaker and kubernetes/),
    ])
    expect(issues({ cpu: '6' })).toEqual([expect.stringMatching(/cpu: got 6 cores, which take 10614 MB/)])
    expect(issues({ cpu: '0.01', memory: '64Mi' })).toEqual([expect.stringMatching(/memory: got 64Mi, wanted 128/)])
    expect(issues({ gpu: 'nvidia-t4' })).toEqual([expect.stringMatching(/gpu: .*no GPU.*sagemaker/)])
    expect(issues({ timeout: 901 })).toEqual([expect.stringMatching(/timeout: wanted at most 900/)])
    expect(issues({}, { architecture: 'riscv' })).toEqual([
      expect.stringMatching(/metadata\/architecture: wanted "arm64" or "x86_64"/),
    ])
  })

  test('a model that no disk holds is refused before anything is made', async () => {
    const target = await stage.bench.target()
    const large = { ...target, model: { ...target.model, size_bytes: 9 * 2 ** 30 } }
    await expect(stage.bench.deployer.deploy(large)).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(/11316 MB of disk/),
    })
    expect(stage.cloud.calls).toEqual([])
  })

  test('an architecture without a published layer is refused', async () => {
    const target = await stage.bench.target({ metadata: { architecture: 'x86_64' } })
    await expect(stage.bench.deployer.deploy(target)).rejects.toMatchObject({ code: 'unavailable_here' })
  })
})
