import { RedriveExecutionCommand, StopExecutionCommand } from '@aws-sdk/client-sfn'
import { describe, expect, it, onTestFinished } from 'vitest'
import { PlatformError } from '../../layers/core/contract/errors.ts'
import type { PipelineId } from '../../layers/core/contract/pipelines.ts'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { countsByStatus } from '../../layers/core/usecases/count-by-status.ts'
import { createDeployment } from '../../layers/core/usecases/create-deployment.ts'
import { hibernateDeployment } from '../../layers/core/usecases/hibernate-deployment.ts'
import { createdIn, makeWorld, owner, provisionSteps, until, wanted } from '../support/deployment-world.ts'
import { failure } from '../support/records.ts'
import { stepFunctionsHost } from '../support/step-functions-host.ts'
import { sfnClient } from '../support/step-functions-server.ts'

const counting = async (limits: { requestTimeout?: number; maxAttempts?: number }) => {
  let ran = 0
  const steps = new Map<string, Step>([
    [
      'deploy-revision',
      async () => {
        ran += 1
        return {}
      },
    ],
    ['settle-deployment', async () => ({})],
  ])
  const host = await stepFunctionsHost(steps, limits)
  onTestFinished(host.close)
  const begin = () => host.workflows.start('provision-deployment', 'exe_1', { n: 1 })
  return { ...host, begin, runs: () => ran }
}

describe('starting an execution when Step Functions misbehaves', () => {
  it.each(['throttle', 'fail', 'lose', 'late', 'hang'] as const)('is one execution after a call that ends in %s', async (how) => {
    const { server, begin, runs } = await counting({ requestTimeout: 150 })
    server.misbehave('StartExecution', how)
    await begin()
    await server.settled()
    expect([server.executions.size, runs()]).toEqual([1, 1])
    expect(server.calls.filter(({ operation }) => operation === 'StartExecution')).toHaveLength(2)
  })

  it('fails when no try gets an answer, and a later repeat finds the execution that was made all the same', async () => {
    const { server, begin, runs } = await counting({ requestTimeout: 150, maxAttempts: 2 })
    server.misbehave('StartExecution', 'late', 2)
    const { message } = await failure('unavailable', begin())
    expect(message).toMatch(/^Starting provision-deployment exe_1: AWS did not answer in time/)
    await server.settled()
    await begin()
    await server.settled()
    expect([server.executions.size, runs()]).toEqual([1, 1])
  })

  it('says that the status is not known when nobody answers, instead of saying there is none', async () => {
    const { server, workflows } = await counting({ requestTimeout: 150, maxAttempts: 2 })
    server.misbehave('DescribeExecution', 'throttle', 2)
    await failure('unavailable', workflows.status('provision-deployment', 'exe_1'))
  })
})

describe('an execution that was stopped', () => {
  it('by hand is a failed one', async () => {
    const { server, workflows, close } = await stepFunctionsHost(
      new Map<string, Step>([['deploy-revision', () => new Promise(() => {})]]),
    )
    onTestFinished(close)
    await workflows.start('provision-deployment', 'exe_1', {})
    const client = sfnClient(server.endpoint)
    await client.send(new StopExecutionCommand({ executionArn: [...server.executions.keys()][0] }))
    client.destroy()
    expect(await workflows.status('provision-deployment', 'exe_1')).toMatchObject({
      state: 'failed',
      error: { code: 'cancelled' },
    })
  })
})

/** A world whose pipelines run on Step Functions; `broken` steps fail as long as they are in it. */
const worldOnStepFunctions = async () => {
  const world = await makeWorld()
  const broken = new Set<string>()
  const steps = new Map<string, Step>(
    [...provisionSteps(world.app)].map(([name, step]) => [
      name,
      async (state, context) => {
        if (broken.has(name)) throw new PlatformError('unavailable', `${name} is out of reach`)
        return step(state, context)
      },
    ]),
  )
  const host = await stepFunctionsHost(steps)
  world.app.workflows = host.workflows
  world.app.config = { ...world.app.config, drives_in: 'pipeline' }
  onTestFinished(async () => {
    await host.close()
    await world.stop()
  })
  const ended = async (pipeline: PipelineId) => {
    for (;;) {
      const found = [...host.server.executions.values()].findLast(({ machine_arn }) => machine_arn.endsWith(pipeline))
      if (found && found.status !== 'RUNNING') return found
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  const redrive = async (executionArn: string) => {
    const client = sfnClient(host.server.endpoint)
    await client.send(new RedriveExecutionCommand({ executionArn }))
    await host.server.executions.get(executionArn)?.ended
    client.destroy()
  }
  return { world, broken, ended, redrive }
}

describe('a redrive of a failed execution', () => {
  it('ends what was left, and does nothing twice', async () => {
    const { world, broken, ended, redrive } = await worldOnStepFunctions()
    broken.add('settle-deployment')
    const { id } = await createDeployment(world.app, owner, wanted())
    const execution = await ended('provision-deployment')
    expect(execution.status).toBe('FAILED')
    broken.clear()
    await redrive(execution.arn)
    expect(execution).toMatchObject({ status: 'SUCCEEDED', redrives: 1 })
    expect(world.fake.count('deploy', id)).toBe(1)
    expect(await until(world.app, id, ({ status }) => status === 'active')).toMatchObject({ revision: 1, transition: null })
    expect(await countsByStatus(world.app, 'org_1', 'deployment')).toMatchObject({ active: 1 })
  })

  it('runs a failed step again, and changes nothing that was settled meanwhile', async () => {
    const { world, broken, ended, redrive } = await worldOnStepFunctions()
    const { id } = await createdIn(world)
    broken.add('carry-out-transition')
    const asleep = hibernateDeployment(world.app, owner, id)
    const execution = await ended('drive-transition')
    expect(execution.status).toBe('FAILED')
    broken.clear()
    await redrive(execution.arn)
    await asleep
    expect(await until(world.app, id, ({ status }) => status === 'hibernated')).toMatchObject({ transition: null })
    expect(world.fake.count('hibernate', id)).toBe(1)
    const before = await countsByStatus(world.app, 'org_1', 'deployment')
    expect(before).toMatchObject({ hibernated: 1 })
    expect(before.active ?? 0).toBe(0)
    await expect(redrive(execution.arn)).rejects.toThrow(/SUCCEEDED and cannot be redriven/)
    expect(await countsByStatus(world.app, 'org_1', 'deployment')).toEqual(before)
  })

  it('of one that cleaned up after its failure fails again without a step', async () => {
    const { world, broken, ended, redrive } = await worldOnStepFunctions()
    broken.add('deploy-revision')
    const { id } = await createDeployment(world.app, owner, wanted())
    const execution = await ended('provision-deployment')
    const settled = await until(world.app, id, ({ status }) => status === 'failed')
    broken.clear()
    await redrive(execution.arn)
    expect(execution).toMatchObject({ status: 'FAILED', redrives: 1 })
    expect(world.fake.count('deploy', id)).toBe(0)
    expect(await until(world.app, id, () => true)).toEqual(settled)
  })
})
