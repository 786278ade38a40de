import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isPlatformError } from '../../layers/core/contract/errors.ts'
import { startInstance } from '../../layers/serving/instance.ts'
import { type DeployerBench, deployerBench, deployTarget, predict } from '../support/deployments.ts'
import { denseModel, identityModel, loopModel, twoInputModel } from '../support/models.ts'

let bench: DeployerBench
const pids: number[] = []
beforeEach(() => {
  pids.length = 0
  bench = deployerBench({
    startInstance: (cwd) => {
      const instance = startInstance(cwd)
      pids.push(instance.pid)
      return instance
    },
  })
})
afterEach(() => bench.end())

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
const until = async (what: () => boolean | Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 400; i++) {
    if (await what()) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('waited ten seconds in vain')
}

describe('process deployer', () => {
  test('deploys, answers, sleeps, wakes and leaves nothing behind', async () => {
    const target = deployTarget(bench.file('a.onnx', twoInputModel()))
    await bench.deployer.deploy(target)
    expect(await bench.deployer.status(target)).toMatchObject({ ready: true, instances: 1 })
    const body = { inputs: { a: [[1, 2]], b: [[10, 20]] } }
    const first = await predict(bench.deployer, target, body)
    expect(first.json).toEqual({ outputs: { sum: [[11, 22]], difference: [[-9, -18]] } })
    expect(first.usage).toMatchObject({ cold: false, init_us: 0, batch_size: 1 })

    await bench.deployer.hibernate(target)
    expect(await bench.deployer.status(target)).toMatchObject({ ready: false, instances: 0 })
    await expect(predict(bench.deployer, target, body)).rejects.toSatisfy((error) =>
      isPlatformError(error, 'deployment_unavailable'),
    )

    await bench.deployer.activate(target)
    const woken = await predict(bench.deployer, target, body)
    expect(woken.json.outputs.sum).toEqual([[11, 22]])
    expect(woken.usage.cold).toBe(true)
    expect(woken.usage.init_us).toBeGreaterThan(0)
    expect((await predict(bench.deployer, target, body)).usage.cold).toBe(false)

    await bench.deployer.undeploy(target)
    expect(existsSync(join(bench.dir, 'deployments', 'dep_1'))).toBe(false)
    await bench.deployer.stop()
    await until(() => pids.every((pid) => !alive(pid)))
  })

  test('every verb may be repeated', async () => {
    const target = deployTarget(bench.file('a.onnx', twoInputModel()))
    await bench.deployer.deploy(target)
    await bench.deployer.deploy(target)
    await bench.deployer.activate(target)
    await bench.deployer.hibernate(target)
    await bench.deployer.hibernate(target)
    await Promise.all([bench.deployer.activate(target), bench.deployer.activate(target)])
    expect((await bench.deployer.status(target)).instances).toBe(1)
    await bench.deployer.undeploy(target)
    await bench.deployer.undeploy(target)
  })

  test('a platform that lost its memory finds the deployment again from its files', async () => {
    const target = deployTarget(bench.file('a.onnx', twoInputModel()))
    await bench.deployer.deploy(target)
    await bench.deployer.stop()
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => predict(bench.deployer, target, { inputs: { a: [[1, 2]], b: [[1, 1]] } })),
    )
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
    expect((await bench.deployer.status(target)).instances).toBe(1)
  })

  test('a new revision takes over without losing a call, and its predecessor goes', async () => {
    const old = deployTarget(bench.file('a.onnx', identityModel('INT64', [1])))
    const target = deployTarget(bench.file('b.onnx', loopModel(false)), { revision: 2 })
    await bench.deployer.deploy(old)
    let stop = false
    const statuses: number[] = []
    const caller = (async () => {
      while (!stop) statuses.push((await predict(bench.deployer, old, { inputs: [5] })).status)
    })()
    await bench.deployer.deploy(target)
    stop = true
    await caller
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect((await predict(bench.deployer, target, { inputs: [3] })).json).toEqual({ outputs: [3] })
    await until(() => readdirSync(join(bench.dir, 'deployments', 'dep_1')).join() === '2')
  })

  test('a canary answers its share with the other revision, says so, and ends with the next one', async () => {
    const first = deployTarget(bench.file('a.onnx', identityModel('INT64', [1])))
    const second = deployTarget(bench.file('b.onnx', loopModel(false)), { revision: 2 })
    await bench.deployer.deploy(first)
    await bench.deployer.deploy(second)
    const ask = () =>
      bench.deployer.infer(second, {
        method: 'GET',
        path: '/v2/models/my%20model',
        headers: {},
        body: new Uint8Array(),
        request_id: 'r',
      })
    const revisions = async () => {
      const answers = await Promise.all(Array.from({ length: 60 }, ask))
      return new Set(answers.map(({ revision }) => revision))
    }
    await bench.deployer.shift?.(second, { revision: 1, percent: 50 }, first)
    await bench.deployer.shift?.(second, { revision: 1, percent: 50 }, first)
    expect(await revisions()).toEqual(new Set([undefined, 1]))
    await bench.deployer.shift?.(second, null)
    expect(await revisions()).toEqual(new Set([undefined]))
    await bench.deployer.shift?.(second, { revision: 1, percent: 50 }, first)
    await bench.deployer.hibernate(second)
    await bench.deployer.activate(second)
    expect(await revisions()).toEqual(new Set([undefined]))
    await bench.deployer.shift?.(second, { revision: 1, percent: 50 }, first)
    await bench.deployer.deploy({ ...second, deployment: { ...second.deployment, revision: 3 } })
    expect(await revisions()).toEqual(new Set([undefined]))
    await until(() => readdirSync(join(bench.dir, 'deployments', 'dep_1')).join() === '3')
  })

  test('a model that onnxruntime refuses is told to the caller and leaves the old revision serving', async () => {
    const good = deployTarget(bench.file('a.onnx', identityModel('FP32', ['batch', 2])))
    await bench.deployer.deploy(good)
    const bad = deployTarget(bench.file('bad.onnx', Buffer.from('not a model')), { revision: 2 })
    await expect(bench.deployer.deploy(bad)).rejects.toSatisfy((error) => isPlatformError(error, 'invalid_model'))
    expect((await predict(bench.deployer, good, { inputs: [[1, 2]] })).json).toEqual({ outputs: [[1, 2]] })
  })

  test('model processes get an empty environment and an empty folder', async () => {
    const target = deployTarget(bench.file('a.onnx', identityModel('FP32', [1])))
    await bench.deployer.deploy(target)
    const pid = pids.find(alive)
    if (process.platform !== 'linux' || pid === undefined) return
    expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).toBe('')
    expect(execFileSync('ls', ['-A', `/proc/${pid}/cwd/`]).toString()).toBe('')
  })

  test('a process that dies is replaced and the calls it had are answered', async () => {
    const target = deployTarget(bench.file('a.onnx', denseModel([64, 64, 4])))
    await bench.deployer.deploy(target)
    const input = { inputs: [Array(64).fill(0.5)] }
    const wanted = (await predict(bench.deployer, target, input)).json
    const calls = Array.from({ length: 50 }, () => predict(bench.deployer, target, input))
    for (const pid of pids) if (alive(pid)) process.kill(pid, 'SIGKILL')
    for (const answer of await Promise.all(calls)) {
      const got: number[] = answer.json.outputs[0]
      // Another batch or tier rounds differently in the last bits.
      for (const [i, value] of got.entries()) expect(value).toBeCloseTo(wanted.outputs[0][i], 6)
    }
  })

  test('a crash loop ends in failed with the reason, and calls say so', async () => {
    const target = deployTarget(bench.file('a.onnx', identityModel('FP32', [1])))
    await bench.deployer.deploy(target)
    await until(async () => {
      for (const pid of pids) if (alive(pid)) process.kill(pid, 'SIGKILL')
      return bench.failures.length > 0
    })
    expect(bench.failures).toEqual([
      { deployment_id: 'dep_1', reason: expect.stringMatching(/5 times within a minute.*SIGKILL|could not be started/) },
    ])
    await expect(predict(bench.deployer, target, { inputs: [1] })).rejects.toSatisfy((error) =>
      isPlatformError(error, 'deployment_unavailable'),
    )
  })

  test('queueing starts further processes, up to max_instances', async () => {
    const target = deployTarget(bench.file('loop.onnx', loopModel(false)), { max_instances: 2 })
    await bench.deployer.deploy(target)
    const calls = Array.from({ length: 40 }, () => predict(bench.deployer, target, { inputs: [100_000] }))
    await until(async () => (await bench.deployer.status(target)).instances === 2)
    for (const answer of await Promise.all(calls)) expect(answer.json).toEqual({ outputs: [100_000] })
    expect((await bench.deployer.status(target)).instances).toBe(2)
  })

  test('a full queue refuses with 429 and a time to come back', async () => {
    await bench.end()
    bench = deployerBench({ max_queue: 3 })
    const target = deployTarget(bench.file('loop.onnx', loopModel(false)), { max_instances: 1 })
    await bench.deployer.deploy(target)
    const results = await Promise.allSettled(
      Array.from({ length: 90 }, () => predict(bench.deployer, target, { inputs: [10_000] })),
    )
    const refused = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason)
    expect(refused.length).toBeGreaterThanOrEqual(90 - 64 - 3)
    for (const error of refused) expect(error).toMatchObject({ code: 'overloaded', status: 429, extras: { retry_after_s: 1 } })
    expect(results.filter((result) => result.status === 'fulfilled').length).toBeGreaterThanOrEqual(64)
  })

  test('a streamed body of several megabytes arrives whole and comes back in pieces', async () => {
    const target = deployTarget(bench.file('a.onnx', identityModel('FP32', ['n'])))
    await bench.deployer.deploy(target)
    const values = new Float32Array(1_500_000).map((_, i) => i)
    const head = Buffer.from(
      JSON.stringify({
        inputs: [{ name: 'x', shape: [values.length], datatype: 'FP32', parameters: { binary_data_size: values.byteLength } }],
        parameters: { binary_data_output: true },
      }),
    )
    const whole = Buffer.concat([head, new Uint8Array(values.buffer)])
    const pieces = Array.from({ length: Math.ceil(whole.length / 70_001) }, (_, i) =>
      whole.subarray(i * 70_001, (i + 1) * 70_001),
    )
    const reply = await bench.deployer.infer(target, {
      method: 'POST',
      path: '/v2/models/my%20model/infer',
      headers: { 'inference-header-content-length': String(head.length) },
      body: Readable.from(pieces),
      request_id: 'r',
    })
    expect(reply.status).toBe(200)
    const back = Buffer.concat(reply.body instanceof Uint8Array ? [reply.body] : await reply.body.toArray())
    const json_bytes = Number(reply.headers['inference-header-content-length'])
    expect(back.subarray(json_bytes).equals(Buffer.from(values.buffer))).toBe(true)
  })

  test('settings name what this machine has', () => {
    const settings = (changes: object) =>
      bench.deployer.settings.safeParse({
        resource_requirements: { cpu: '1', memory: '1Gi', gpu: null, timeout: 30, ...changes },
      })
    expect(settings({}).success).toBe(true)
    expect(settings({ cpu: '4000' }).error?.issues[0]?.message).toMatch(/at most the \d+ cores/)
    expect(settings({ memory: '9Ti' }).error?.issues[0]?.message).toMatch(/got 9Ti, wanted 128Mi to \d+Mi/)
    expect(settings({ gpu: '1' }).error?.issues[0]?.message).toMatch(/no GPU/)
  })
})
