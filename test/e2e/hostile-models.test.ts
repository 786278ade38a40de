import { monitorEventLoopDelay } from 'node:perf_hooks'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DeployTarget } from '../../layers/core/ports/deployer.ts'
import { type DeployerBench, deployerBench, deployTarget, predict } from '../support/deployments.ts'
import { denseModel, loopModel, memoryModel } from '../support/models.ts'

let bench: DeployerBench
let bystander: DeployTarget
let asking = true
const bystanders: { status: number; ms: number }[] = []
let asked: Promise<void>

const input = { inputs: [Array(64).fill(0.25)] }

/** Another deployment is called all the time; whatever the hostile ones do, it must keep answering. */
beforeAll(async () => {
  bench = deployerBench({ start_timeout_ms: 4000 })
  bystander = deployTarget(bench.file('good.onnx', denseModel([64, 32, 4])), { id: 'dep_good', name: 'good' })
  await bench.deployer.deploy(bystander)
  asked = (async () => {
    while (asking) {
      const started = performance.now()
      const { status } = await predict(bench.deployer, bystander, input)
      bystanders.push({ status, ms: performance.now() - started })
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })()
})
afterAll(async () => {
  asking = false
  await asked
  await bench.end()
})

describe('hostile models', () => {
  test('one that loops for ever at its first run cannot be deployed, and says why', async () => {
    const target = deployTarget(bench.file('endless.onnx', loopModel(true)), { id: 'dep_endless' })
    await expect(bench.deployer.deploy(target)).rejects.toMatchObject({
      code: 'model_crashed',
      message: expect.stringContaining('longer than 4 s'),
    })
    expect(await bench.deployer.status(target)).toMatchObject({ ready: false, instances: 0 })
  })

  test('an input that makes it loop for hours is a 504 after the time-out, and the next call is answered', async () => {
    const target = deployTarget(bench.file('loop.onnx', loopModel(false)), { id: 'dep_loop', timeout: 1 })
    await bench.deployer.deploy(target)
    const lag = monitorEventLoopDelay({ resolution: 5 })
    lag.enable()
    await expect(predict(bench.deployer, target, { inputs: [1e15] })).rejects.toMatchObject({
      code: 'timeout',
      status: 504,
      message: expect.stringContaining('within 1 s (resource_requirements.timeout)'),
    })
    lag.disable()
    // The host's thread never computes: two hundred milliseconds would mean it did.
    expect(lag.percentile(99) / 1e6).toBeLessThan(200)
    expect((await predict(bench.deployer, target, { inputs: [4] })).json).toEqual({ outputs: [4] })
  })

  test('an input that takes more memory than allowed ends the process, is reported, and others are answered', async () => {
    const target = deployTarget(bench.file('memory.onnx', memoryModel()), { id: 'dep_memory', memory: '300Mi' })
    await bench.deployer.deploy(target)
    // 1.6 GB of ones: possible for the machine, not allowed for the deployment.
    await expect(predict(bench.deployer, target, { inputs: [400_000_000] })).rejects.toMatchObject({
      code: 'model_crashed',
      message: expect.stringMatching(/used \d+ MiB of memory, 300 MiB are allowed/),
    })
    expect((await predict(bench.deployer, target, { inputs: [10] })).json).toEqual({ outputs: [10] })
  })

  test('an 80 GB tensor is refused or ends the process, never the platform', async () => {
    const target = deployTarget(bench.file('memory.onnx', memoryModel()), { id: 'dep_huge', memory: '300Mi' })
    await bench.deployer.deploy(target)
    const outcome = await predict(bench.deployer, target, { inputs: [20_000_000_000] }).then(
      ({ status, json }) => ({ status, code: json.code }),
      ({ status, code }) => ({ status, code }),
    )
    expect([
      { status: 422, code: 'model_error' },
      { status: 502, code: 'model_crashed' },
    ]).toContainEqual(outcome)
    expect((await predict(bench.deployer, target, { inputs: [10] })).json).toEqual({ outputs: [10] })
  })

  test('the bystander was answered throughout', () => {
    expect(bystanders.length).toBeGreaterThan(50)
    expect(bystanders.filter(({ status }) => status !== 200)).toEqual([])
    expect(bench.failures).toEqual([])
  })
})
