import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { isPlatformError } from '../../layers/core/contract/errors.ts'
import type { Deployment } from '../../layers/core/domain/deployment.ts'
import type { Inspection } from '../../layers/core/domain/model.ts'
import type { Deployer, DeployTarget } from '../../layers/core/ports/deployer.ts'
import { grants } from '../../layers/deployers/sagemaker/grants.ts'
import { archiveKey } from '../../layers/deployers/sagemaker/names.ts'
import { type HttpServer, startHttpServer } from '../../layers/serving/http-server.ts'
import { twoInputModel } from '../support/models.ts'
import { type SagemakerBench, sagemakerBench } from '../support/sagemaker-bench.ts'
import { leftovers } from '../support/sagemaker-cloud/state.ts'
import { type SagemakerCloud, startSagemakerCloud } from '../support/sagemaker-cloud.ts'

const tensor = (name: string) => ({ name, datatype: 'FP32', shape: ['batch', 2] })
const inspection: Inspection = {
  format: 'onnx',
  inputs: [tensor('a'), tensor('b')],
  outputs: [tensor('sum'), tensor('difference')],
  batchable: true,
}
const real_time = { metadata: { endpoint_mode: 'real_time' } }
const scaling = (min_instances: number, max_instances: number) => ({
  scaling_policy: { min_instances, max_instances, target_cpu_utilization: 70 },
})

let cloud: SagemakerCloud
let bench: SagemakerBench
let server: HttpServer
let dir: string
beforeAll(async () => {
  const files = sagemakerBench('http://127.0.0.1:9')
  dir = files.dir
  const path = join(dir, 'two.onnx')
  writeFileSync(path, twoInputModel())
  server = await startHttpServer({ model_path: path, name: 'model' })
})
afterAll(() => server.close())

beforeEach(async () => {
  cloud = await startSagemakerCloud()
  bench = sagemakerBench(cloud.endpoint)
  // The container speaks the protocol with the serving core behind it, told the binary form by its content type as Triton is.
  cloud.container = async ({ content_type, body }) => {
    const size = /json-header-size=(\d+)/.exec(content_type)?.[1]
    const headers = size
      ? { 'inference-header-content-length': size, 'content-type': 'application/octet-stream' }
      : { 'content-type': 'application/json' }
    const reply = await fetch(`${server.url}/v2/models/model/infer`, { method: 'POST', headers, body: new Uint8Array(body) })
    const json_bytes = reply.headers.get('inference-header-content-length')
    const type = json_bytes ? `application/vnd.sagemaker-triton.binary+json;json-header-size=${json_bytes}` : 'application/json'
    return { status: reply.status, content_type: type, body: new Uint8Array(await reply.arrayBuffer()) }
  }
})
afterEach(async () => {
  await cloud.stop()
  bench.end()
})

const up = async (target: DeployTarget, deployer: Deployer = bench.deployer): Promise<DeployTarget> => ({
  ...target,
  deployment: { ...target.deployment, deployer_state: await deployer.deploy(target) },
})
const make = (spec: Partial<Deployment> = {}) => bench.target(twoInputModel(), inspection, spec)
const call = async (target: DeployTarget, body: unknown, path = '', headers: Record<string, string> = {}) => {
  const bytes = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body))
  const reply = await bench.deployer.infer(target, { method: 'POST', path, headers, body: bytes, request_id: 'r' })
  return { ...reply, bytes: Buffer.concat(reply.body instanceof Uint8Array ? [reply.body] : await reply.body.toArray()) }
}
const inputs = { inputs: { a: [[1, 2]], b: [[10, 20]] } }
const expected = { outputs: { sum: [[11, 22]], difference: [[-9, -18]] } }
const ended = (target: DeployTarget) => bench.deployer.undeploy(target)

describe('every mode deploys, answers, sleeps, wakes and leaves nothing behind', () => {
  it.each([
    ['serverless', {}, { endpoint_mode: 'serverless', memory_mb: 1024 }],
    ['real_time', { ...real_time, ...scaling(1, 3) }, { endpoint_mode: 'real_time', instance_type: 'ml.t2.medium' }],
    ['components', { metadata: { endpoint_mode: 'real_time', scale_to_zero: true } }, { components: true, instance_count: 0 }],
  ])('%s', async (_, spec, state) => {
    const target = await up(make(spec))
    expect(target.deployment.deployer_state).toMatchObject(state)
    expect(JSON.parse((await call(target, inputs)).bytes.toString())).toEqual(expected)
    expect(await bench.deployer.status(target)).toMatchObject({ ready: true })
    await bench.deployer.hibernate(target)
    expect([...cloud.state.endpoints.keys()]).toEqual([])
    expect(cloud.state.configs.size).toBe(1)
    await expect(call(target, inputs)).rejects.toSatisfy((error) => isPlatformError(error, 'deployment_unavailable'))
    await bench.deployer.activate(target)
    await bench.deployer.activate(target)
    expect(JSON.parse((await call(target, inputs)).bytes.toString())).toEqual(expected)
    await ended(target)
    await ended(target)
    expect(leftovers(cloud.state)).toEqual([])
    expect([...bench.kept.keys()]).toEqual(['models/org_1/mod_1/model.onnx'])
  })

  it('async queues, answers 202 with an address, and the result in the form of the call', async () => {
    const target = await up(make({ metadata: { endpoint_mode: 'async' }, ...scaling(0, 2) }))
    expect(cloud.state.alarms.size).toBe(1)
    const accepted = await call(target, inputs)
    const { inference_id, output } = JSON.parse(accepted.bytes.toString())
    expect([accepted.status, output.url]).toEqual([
      202,
      `https://platform.example/deployments/dep_1/inference/async/${inference_id}`,
    ])
    const get = () =>
      bench.deployer.infer(target, {
        method: 'GET',
        path: `/async/${inference_id}`,
        headers: {},
        body: new Uint8Array(),
        request_id: 'r',
      })
    expect((await get()).status).toBe(202)
    const [job] = cloud.queued
    const input = bench.kept.get(job?.input ?? '') ?? Buffer.alloc(0)
    const reply = await cloud.container?.({ endpoint: '', variant: '', model: '', content_type: 'application/json', body: input })
    bench.kept.set(job?.output ?? '', Buffer.from(reply?.body ?? []))
    const done = await get()
    expect([done.status, JSON.parse(Buffer.from(done.body as Uint8Array).toString())]).toEqual([200, expected])
    bench.kept.delete(job?.output ?? '')
    bench.kept.set(job?.failure ?? '', Buffer.from('shape mismatch'))
    await expect(get()).rejects.toMatchObject({ code: 'model_error', message: expect.stringContaining('shape mismatch') })
    await ended(target)
    expect(leftovers(cloud.state)).toEqual([])
    expect([...bench.kept.keys()]).toEqual(['models/org_1/mod_1/model.onnx'])
  })
})

describe('protocol', () => {
  it('passes v2 JSON and binary through under the deployment’s name, and the model’s own refusal as its answer', async () => {
    const target = await up(make({ name: 'my "model"' }))
    const v2 = { inputs: ['a', 'b'].map((name) => ({ name, shape: [1, 2], datatype: 'FP32', data: [1, 2] })) }
    const json = JSON.parse((await call(target, v2, '/v2/models/x/infer')).bytes.toString())
    expect(json).toMatchObject({ model_name: 'my "model"', model_version: '1', outputs: [{ name: 'sum', data: [2, 4] }, {}] })
    const tensors = ['a', 'b'].map((name) => ({ name, shape: [1, 2], datatype: 'FP32', parameters: { binary_data_size: 8 } }))
    const head = Buffer.from(JSON.stringify({ inputs: tensors, parameters: { binary_data_output: true } }))
    const values = Buffer.from(new Float32Array([1, 2, 10, 20]).buffer)
    const binary = await call(target, Buffer.concat([head, values]), '/v2/models/x/infer', {
      'inference-header-content-length': String(head.length),
    })
    const size = Number(binary.headers['inference-header-content-length'])
    expect(JSON.parse(binary.bytes.subarray(0, size).toString())).toMatchObject({ model_name: 'my "model"' })
    expect([0, 4, 8, 12].map((at) => binary.bytes.readFloatLE(size + at))).toEqual([11, 22, -9, -18])
    const wrong = await call(target, { inputs: { a: [[1]], b: [[1]] } })
    expect([wrong.status, JSON.parse(wrong.bytes.toString()).code]).toEqual([400, 'model_error'])
    await expect(call(target, { inputs: { z: [1] } })).rejects.toMatchObject({ code: 'malformed_body' })
    await expect(call(target, Buffer.alloc(4_000_001))).rejects.toMatchObject({ code: 'payload_too_large' })
    const metadata = await bench.deployer.infer(target, {
      method: 'GET',
      path: '/v2/models/my%20%22model%22',
      headers: {},
      body: new Uint8Array(),
      request_id: 'r',
    })
    expect(JSON.parse(Buffer.from(metadata.body as Uint8Array).toString())).toMatchObject({
      platform: 'onnx_onnxv1',
      inputs: [{ name: 'a', shape: [-1, 2] }, {}],
    })
  })

  it('translates what the runtime refuses', async () => {
    const target = await up(make())
    for (const [code, wanted] of [
      ['ThrottlingException', 'overloaded'],
      ['ModelNotReadyException', 'deployment_waking'],
      ['InternalFailure', 'unavailable'],
    ] as const) {
      cloud.refuse('InvokeEndpoint', code, 1)
      await expect(call(target, inputs)).rejects.toMatchObject({ code: wanted })
    }
    cloud.container = async () => ({ status: 500, content_type: 'text/plain', body: Buffer.from('segmentation fault') })
    await expect(call(target, inputs)).rejects.toMatchObject({ code: 'model_crashed' })
  })
})

describe('archives', () => {
  const unpacked = (target: DeployTarget): string => {
    const folder = join(bench.dir, 'unpacked')
    mkdirSync(folder)
    writeFileSync(join(bench.dir, 'model.tar.gz'), bench.kept.get(archiveKey('dep_1', target.deployment.revision)) ?? '')
    execFileSync('tar', ['-xzf', join(bench.dir, 'model.tar.gz'), '-C', folder])
    return folder
  }
  const filesIn = (folder: string) =>
    execFileSync('find', ['.', '-type', 'f'], { cwd: folder }).toString().trim().split('\n').sort()

  it('ONNX: a Triton repository whose configuration tells the tensors', async () => {
    const folder = unpacked(await up(make()))
    expect(filesIn(folder)).toEqual(['./model/1/model.onnx', './model/config.pbtxt'])
    expect(readFileSync(join(folder, 'model/1/model.onnx')).equals(Buffer.from(twoInputModel()))).toBe(true)
    const config = readFileSync(join(folder, 'model/config.pbtxt'), 'utf8')
    const read = [...config.matchAll(/(input|output) \[ \{ name: "([^"]+)" data_type: (\w+) dims: \[ ([-\d, ]+) \] \} \]/g)].map(
      (m) => m.slice(1),
    )
    expect(read).toEqual([
      ['input', 'a', 'TYPE_FP32', '2'],
      ['input', 'b', 'TYPE_FP32', '2'],
      ['output', 'sum', 'TYPE_FP32', '2'],
      ['output', 'difference', 'TYPE_FP32', '2'],
    ])
    expect(config).toMatch(/max_batch_size: 32\n[\s\S]*dynamic_batching \{ \}/)
  })

  it('TensorFlow: a SavedModel from a zip, a tar or its bare graph, as version 1', async () => {
    const source = join(bench.dir, 'saved')
    mkdirSync(join(source, 'export/variables'), { recursive: true })
    writeFileSync(join(source, 'export/saved_model.pb'), 'graph'.repeat(1000))
    writeFileSync(join(source, 'export/variables/variables.data-00000-of-00001'), Buffer.alloc(100_000, 3))
    execFileSync('tar', ['-cf', join(bench.dir, 's.tar'), 'export'], { cwd: source })
    execFileSync('python3', [
      '-c',
      `import shutil; shutil.make_archive(${JSON.stringify(join(bench.dir, 's'))}, "zip", ${JSON.stringify(source)})`,
    ])
    const model = { framework: 'tensorflow', inspection: null }
    for (const [revision, file, wanted] of [
      [1, 's.tar', ['./1/saved_model.pb', './1/variables/variables.data-00000-of-00001']],
      [2, 's.zip', ['./1/saved_model.pb', './1/variables/variables.data-00000-of-00001']],
      [3, 'saved/export/saved_model.pb', ['./1/saved_model.pb']],
    ] as const) {
      const target = bench.target(readFileSync(join(bench.dir, file)), null, { revision })
      const made = await up({ ...target, model: { ...target.model, ...model } })
      const folder = unpacked(made)
      expect(filesIn(folder)).toEqual(wanted)
      expect(readFileSync(join(folder, '1/saved_model.pb'), 'utf8')).toBe('graph'.repeat(1000))
      execFileSync('rm', ['-r', folder])
    }
  })

  it('PyTorch: TorchScript with a handler that runs; a state_dict is refused with advice', async () => {
    const target = bench.target(Buffer.from('script'), { format: 'torchscript' })
    const folder = unpacked(await up({ ...target, model: { ...target.model, framework: 'pytorch' } }))
    expect(filesIn(folder)).toEqual(['./code/inference.py', './model.pt'])
    const stub =
      'class T:\n  def __init__(s,v): s.v=v\n  def tolist(s): return s.v\nclass N:\n  def __enter__(s): pass\n  def __exit__(s,*a): pass\nno_grad=N\ndef tensor(v,device): return T(v)\nclass cuda:\n  is_available=staticmethod(lambda: False)\n'
    writeFileSync(join(folder, 'code/torch.py'), stub)
    const script =
      'import inference as i\nprint(i.output_fn(i.predict_fn(i.input_fn(b\'{"inputs": {"a": [1], "b": [2]}}\', "application/json"), lambda a, b: (b, a)), "")[0])'
    expect(JSON.parse(execFileSync('python3', ['-c', script], { cwd: join(folder, 'code') }).toString())).toEqual({
      outputs: { output_0: [2], output_1: [1] },
    })
    const weights = bench.target(Buffer.from('x'), { format: 'pytorch_state_dict' }, { id: 'dep_2' })
    await expect(up({ ...weights, model: { ...weights.model, framework: 'pytorch' } })).rejects.toMatchObject({
      code: 'framework_unsupported',
      message: expect.stringContaining('torch.jit.trace'),
    })
  })
})

describe('canary', () => {
  it('is two weighted variants; only weights change the second time; ends; is refused elsewhere', async () => {
    const first = await up(make(real_time))
    const second = await up({ ...first, deployment: { ...first.deployment, revision: 2 } })
    const state = await bench.deployer.shift?.(second, { revision: 1, percent: 50 }, first)
    const shifted = {
      ...second,
      deployment: { ...second.deployment, deployer_state: state ?? {}, canary: { revision: 1, percent: 50 } },
    }
    const endpoint = [...cloud.state.endpoints.values()][0]
    expect([...(endpoint?.weights ?? [])]).toEqual([
      ['r2', 50],
      ['r1', 50],
    ])
    const revisions = new Set<number>()
    for (let at = 0; at < 40; at += 1) revisions.add((await call(shifted, inputs)).revision ?? 2)
    expect(revisions).toEqual(new Set([1, 2]))
    const updates = cloud.calls.filter((name) => name === 'UpdateEndpoint').length
    await bench.deployer.shift?.(shifted, { revision: 1, percent: 5 }, first)
    expect([...(endpoint?.weights ?? [])]).toEqual([
      ['r2', 95],
      ['r1', 5],
    ])
    expect(cloud.calls.filter((name) => name === 'UpdateEndpoint')).toHaveLength(updates)
    expect(await bench.deployer.reconcile?.(shifted)).toEqual([])
    await bench.deployer.shift?.(shifted, null)
    expect([...(endpoint?.weights ?? [])]).toEqual([['r2', 1]])
    await ended(second)
    expect(leftovers(cloud.state)).toEqual([])
    for (const [spec, why] of [
      [{}, /serverless/],
      [{ metadata: { endpoint_mode: 'async' } }, /asynchronous/],
      [{ metadata: { endpoint_mode: 'real_time', scale_to_zero: true } }, /components/],
    ] as const)
      expect(bench.deployer.refusesCanary?.(make(spec).deployment)).toMatch(why)
  })
})

describe('when AWS does not give what was asked', () => {
  it.each(['ResourceLimitExceeded', 'capacity'] as const)('%s: the next cheapest type is taken, and said', async (how) => {
    cloud.orders.no_room.set('ml.t2.medium', how)
    const target = await up(make(real_time))
    expect(target.deployment.deployer_state.instance_type).not.toBe('ml.t2.medium')
    expect(target.deployment.deployer_state.notes).toContainEqual(expect.stringMatching(/ml\.t2\.medium was not to be had/))
    await ended(target)
    expect(leftovers(cloud.state)).toEqual([])
  })

  it('no type at all: fails naming the quota', async () => {
    const spec = {
      metadata: { endpoint_mode: 'real_time', instance_type: 'ml.g5.xlarge' },
      resource_requirements: { cpu: '2', memory: '8Gi', gpu: '1', timeout: 30 },
    }
    cloud.orders.no_room.set('ml.g5.xlarge', 'ResourceLimitExceeded')
    await expect(up(make(spec))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('ml.g5.xlarge for endpoint usage'),
    })
  })

  it('a pool at zero refused by the region: keeps one instance and says so', async () => {
    cloud.orders.refuses_zero = true
    const target = await up(make({ metadata: { endpoint_mode: 'real_time', scale_to_zero: true } }))
    expect(target.deployment.deployer_state.notes).toContainEqual(expect.stringMatching(/refuses MinInstanceCount 0/))
  })

  it('an update that fails leaves the old revision serving; a new endpoint that fails is told with AWS’s reason and taken away', async () => {
    const first = await up(make(real_time))
    cloud.orders.fails = 'The primary container did not pass the ping health check'
    await expect(up({ ...first, deployment: { ...first.deployment, revision: 2 } })).rejects.toMatchObject({
      code: 'model_error',
      message: expect.stringContaining('ping health check'),
    })
    expect(JSON.parse((await call(first, inputs)).bytes.toString())).toEqual(expected)
    cloud.orders.fails = 'no memory'
    await expect(up(make({ ...real_time, id: 'dep_2' }))).rejects.toMatchObject({ code: 'model_error' })
    expect(cloud.state.endpoints.size).toBe(1)
  })

  it('work that takes longer than a step is pending, and a repeat goes on', async () => {
    cloud.orders.looks = 50
    const hasty = sagemakerBench(cloud.endpoint, { wait_ms: 5, artifacts: bench.parts.artifacts })
    const target = make()
    await expect(up(target, hasty.deployer)).rejects.toMatchObject({ code: 'work_pending' })
    const creations = () => cloud.calls.filter((name) => name === 'CreateEndpoint').length
    await up(target)
    expect(creations()).toBe(1)
    hasty.end()
  })

  it('throttling and broken answers are repeated by the client and change nothing', async () => {
    await cloud.stop()
    cloud = await startSagemakerCloud()
    const patient = sagemakerBench(cloud.endpoint, {}, 4)
    for (const operation of ['CreateModel', 'CreateEndpointConfig', 'CreateEndpoint', 'DescribeEndpoint'])
      cloud.refuse(operation, 'ThrottlingException', 1)
    cloud.refuse('PutRetentionPolicy', 'InternalFailure', 1)
    const target = patient.target(twoInputModel(), inspection)
    await patient.deployer.deploy(target)
    expect([cloud.state.endpoints.size, cloud.state.configs.size, cloud.state.models.size]).toEqual([1, 1, 1])
    patient.end()
  })
})

describe('a crash after any call', () => {
  it.each([
    ['real_time', { ...real_time, ...scaling(1, 3) }],
    ['components', { metadata: { endpoint_mode: 'real_time', scale_to_zero: true } }],
  ])('of %s: every verb repeated converges, and nothing is orphaned', async (_, spec) => {
    const target = make(spec)
    const attempt = async (verb: () => Promise<unknown>, at: number): Promise<boolean> => {
      cloud.calls.length = 0
      cloud.dies_at = at
      const died = await verb().then(
        () => false,
        () => true,
      )
      cloud.dies_at = undefined
      return died
    }
    let points = 0
    let state: DeployTarget['deployment']['deployer_state'] = {}
    for (let at = 1; await attempt(async () => (state = await bench.deployer.deploy(target)), at); at += 1) {
      points += 1
      state = await bench.deployer.deploy(target)
      expect([cloud.state.endpoints.size, cloud.state.configs.size, cloud.state.models.size, cloud.state.roles.size]).toEqual([
        1, 1, 1, 1,
      ])
      await ended(target)
      expect(leftovers(cloud.state)).toEqual([])
    }
    const full = { ...target, deployment: { ...target.deployment, deployer_state: state } }
    for (const verb of ['hibernate', 'activate'] as const) {
      for (let at = 1; await attempt(() => bench.deployer[verb](full), at); at += 1) {
        points += 1
        await bench.deployer[verb](full)
        expect((await bench.deployer.status(full)).ready).toBe(verb === 'activate')
        await bench.deployer[verb === 'activate' ? 'hibernate' : 'activate'](full)
      }
    }
    for (let at = 1; await attempt(() => ended(full), at); at += 1) {
      points += 1
      await ended(full)
      expect(leftovers(cloud.state)).toEqual([])
      await bench.deployer.deploy(target)
    }
    expect(leftovers(cloud.state)).toEqual([])
    expect(points).toBeGreaterThan(20)
  })
})

describe('keeping what exists true to the record', () => {
  it('reconcile repairs role, endpoint and scaling, and says what', async () => {
    const target = await up(make({ ...real_time, ...scaling(1, 3) }))
    expect(await bench.deployer.reconcile?.(target)).toEqual([])
    cloud.state.endpoints.clear()
    cloud.state.scaling.clear()
    cloud.state.alarms.clear()
    const [role] = cloud.state.roles.values()
    role?.policies.set('model', '{}')
    expect(await bench.deployer.reconcile?.(target)).toEqual([
      expect.stringContaining('policy of role'),
      expect.stringContaining('it was gone'),
    ])
    expect([cloud.state.endpoints.size, cloud.state.scaling.size, cloud.state.alarms.size]).toEqual([1, 1, 1])
    expect(await bench.deployer.reconcile?.(target)).toEqual([])
  })

  it('reconcile makes nothing where the model is gone too, as it is after a tear-down', async () => {
    const target = await up(make({ ...real_time, ...scaling(1, 3) }))
    await bench.deployer.sweep?.(async () => false)
    expect(await bench.deployer.reconcile?.(target)).toEqual([expect.stringContaining('only a new revision')])
    expect(leftovers(cloud.state)).toEqual([])
  })

  it('an update is watched by the errors of the revision that comes, not of the one that goes', async () => {
    const first = await up(make({ ...real_time, ...scaling(1, 1) }))
    const watched = () => JSON.stringify([...cloud.state.alarms.values()])
    expect(watched()).toContain('"r1"')
    cloud.orders.fails = 'the container does not start'
    const second = { ...first, deployment: { ...first.deployment, revision: 2 } }
    await expect(bench.deployer.deploy(second)).rejects.toMatchObject({ code: 'model_error' })
    expect(watched()).toContain('"r2"')
  })

  it('the longest stage leaves room for every name', async () => {
    bench.end()
    bench = sagemakerBench(cloud.endpoint, { stage: 'acceptance12' })
    const target = await up(make({ id: `dep_${'0123456789abcdef'.repeat(2)}`, ...real_time }))
    expect([...cloud.state.configs.keys()].map((one) => one.length)).toEqual([63])
    expect(target.deployment.id).toHaveLength(36)
  })

  it('a role that never becomes known ends with what AWS said, not in waiting for ever', async () => {
    bench.end()
    bench = sagemakerBench(cloud.endpoint, { wait_ms: 100, role_new_ms: 20 })
    cloud.orders.role_delay = 1_000_000
    await expect(bench.deployer.deploy(make())).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('Could not assume role'),
    })
  })

  it('sweep removes what nobody knows, and only of this stage', async () => {
    const target = await up(make())
    await up(make({ id: 'dep_12' }))
    cloud.state.models.set('aideploy-prod-s-9-r1', {})
    const removed = await bench.deployer.sweep?.(async (id) => id === 'dep_12')
    expect(removed).toContain('endpoint aideploy-dev-s-1')
    expect([...cloud.state.endpoints.keys(), ...cloud.state.models.keys()]).toEqual([
      'aideploy-dev-s-12',
      'aideploy-dev-s-12-r1',
      'aideploy-prod-s-9-r1',
    ])
    expect(target.deployment.id).toBe('dep_1')
  })

  it('a kept configuration that somebody removed is made again at waking', async () => {
    const target = await up(make())
    await bench.deployer.hibernate(target)
    cloud.state.configs.clear()
    await bench.deployer.activate(target)
    expect((await bench.deployer.status(target)).ready).toBe(true)
  })

  it('the ladder tells every rung with its price and time to wake', () => {
    const rungs = bench.deployer.ladder?.(make({ ...real_time, ...scaling(1, 2) }), bench.parts.prices) ?? []
    expect(rungs.map(({ name }) => name)).toEqual(['warm', 'endpoint_removed', 'model_archived'])
    expect(rungs[0]?.usd_per_month).toBeGreaterThan(30)
    expect(rungs[1]?.usd_per_month).toBeLessThan(0.01)
    expect(rungs[1]?.wake_seconds).toBeGreaterThan(rungs[0]?.wake_seconds ?? 0)
  })
})

describe('settings', () => {
  const issues = (spec: { resource_requirements?: object; metadata?: object; scaling_policy?: object }) => {
    const base = make().deployment
    const whole = {
      resource_requirements: { ...base.resource_requirements, ...spec.resource_requirements },
      scaling_policy: { ...base.scaling_policy, ...spec.scaling_policy },
      metadata: spec.metadata ?? {},
    }
    const parsed = bench.deployer.settings.safeParse(whole)
    return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join('/')}: ${message}`)
  }
  it('choose the mode by what is asked and refuse what it cannot do', () => {
    expect(issues({})).toEqual([])
    expect(issues({ resource_requirements: { gpu: '1' }, metadata: { endpoint_mode: 'serverless' } })[0]).toMatch(/gpu.*no GPU/)
    expect(issues({ resource_requirements: { memory: '7Gi' }, metadata: { endpoint_mode: 'serverless' } })[0]).toMatch(
      /at most 6Gi/,
    )
    expect(issues({ resource_requirements: { timeout: 90 }, metadata: { endpoint_mode: 'real_time' } })[0]).toMatch(
      /at most 60 seconds/,
    )
    expect(issues({ resource_requirements: { timeout: 90 } })).toEqual([])
    expect(issues({ metadata: { endpoint_mode: 'serverless' }, scaling_policy: { max_instances: 300 } })[0]).toMatch(
      /at most 200/,
    )
    expect(issues({ metadata: { scale_to_zero: true } })[0]).toMatch(/real_time/)
  })

  it('the grants are exact, and what is called is granted', async () => {
    const actions = new Set(grants.flatMap((grant) => grant.actions))
    for (const action of actions) expect(action).toMatch(/^[a-z-]+:[A-Z][A-Za-z]+$/)
    const target = await up(make({ ...real_time, ...scaling(0, 3) }))
    await call(target, inputs)
    await ended(target)
    const called = new Set(cloud.calls)
    const granted = new Set([...actions].map((action) => action.split(':')[1]))
    expect([...called].filter((name) => !granted.has(name))).toEqual([])
  })
})
