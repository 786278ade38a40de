import { StateMachine } from 'aws-local-stepfunctions'
import { beforeAll, describe, expect, it } from 'vitest'
import { type StepEvent, seenByStep } from '../../functions/entry/step-event.ts'
import { PlatformError } from '../../layers/core/contract/errors.ts'
import { writeFault } from '../../layers/core/contract/pipeline-fault.ts'
import { type PipelineId, type PipelineRow, pipelines } from '../../layers/core/contract/pipelines.ts'
import type { JsonObject } from '../../layers/core/domain/json.ts'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { inProcessWorkflows } from '../../layers/workflows/in-process.ts'
import { stepsOf } from '../../lib/units.ts'
import { definitions } from '../support/machines.ts'
import { synthesised, templateOf } from '../support/synthesised.ts'

/** What every step of every pipeline is given and answers, in order; `fails` breaks one of them for good. */
interface Trace {
  seen: [name: string, state: JsonObject][]
  outcome: { output?: JsonObject; error?: string }
}

const row = (id: PipelineId): PipelineRow => pipelines[id]
const input = { model_id: 'mod_1', asked: { deep: [1, 2] } }

/** `pends` goes on elsewhere for more calls than any step may fail. */
const stepsFor = (id: PipelineId, fails: string | undefined, seen: Trace['seen'], pends?: string): Map<string, Step> => {
  let pending = 10
  return new Map(
    stepsOf(row(id)).map(({ name }) => [
      name,
      async (state) => {
        seen.push([name, structuredClone(state)])
        if (name === pends && pending-- > 0) throw new PlatformError('work_pending', 'a job runs', { retry_after_s: 0.001 })
        if (name === fails) throw new PlatformError('invalid_model', `${name} cannot`)
        return name === 'plan-candidates' ? { candidates: [{ n: 1 }, { n: 2 }], [name]: true } : { [name]: seen.length }
      },
    ]),
  )
}

const inProcess = async (id: PipelineId, fails?: string, pends?: string): Promise<Trace> => {
  const seen: Trace['seen'] = []
  const now = () => new Date()
  const records = sqliteRecords({ path: ':memory:', now })
  const workflows = inProcessWorkflows({
    records,
    pipelines,
    steps: stepsFor(id, fails, seen, pends),
    now,
    backoff_ms: 1,
    log: { info() {}, warn() {}, error() {} },
  })
  await workflows.resume()
  await workflows.start(id, 'exe_1', input)
  for (let tries = 0; tries < 500; tries++) {
    const status = await workflows.status(id, 'exe_1')
    if (status?.state === 'succeeded' || status?.state === 'failed') {
      await workflows.stop()
      records.close()
      return {
        seen,
        outcome: status.output ? { output: status.output } : { error: `${status.error?.code}: ${status.error?.detail}` },
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error('the in-process runner did not finish')
}

const stateMachine = async (definition: unknown, id: PipelineId, fails?: string, pends?: string): Promise<Trace> => {
  const seen: Trace['seen'] = []
  const steps = stepsFor(id, fails, seen, pends)
  const handlers = Object.fromEntries(
    taskNames(definition).map((task) => [
      task,
      async (event: StepEvent) => {
        const step = steps.get(task.replace(/ after (success|failure)$/, ''))
        if (step === undefined) throw new Error(`${task} is no step`)
        const context = { execution_id: event.execution_id, cancelled: async () => false, signal: new AbortController().signal }
        const answer = await step(seenByStep(event), context).catch((error: unknown) => {
          throw writeFault(error)
        })
        return { ...(event.item ?? event.state), ...answer }
      },
    ]),
  )
  const execution = new StateMachine(definition as never, { validationOptions: { checkArn: false, checkPaths: false } }).run(
    input,
    {
      overrides: {
        taskResourceLocalHandlers: handlers as never,
        retryIntervalOverrides: Object.fromEntries(Object.keys(handlers).map((name) => [name, 0])),
      },
      context: {
        Execution: { Id: 'exe_1', Name: 'exe_1', Input: input, StartTime: '2026-01-01T00:00:00Z', RoleArn: 'x' },
      } as never,
    },
  )
  return execution.result.then(
    (output: unknown) => ({ seen, outcome: { output: output as JsonObject } }),
    (error: Error) => ({ seen, outcome: { error: error.message } }),
  )
}

const taskNames = (definition: unknown): string[] => {
  const found: string[] = []
  const walk = (value: unknown, name: string): void => {
    if (typeof value !== 'object' || value === null) return
    if (Reflect.get(value, 'Type') === 'Task') found.push(name)
    for (const [key, child] of Object.entries(value)) walk(child, key)
  }
  walk(definition, '')
  return found
}

let machines: Map<string, unknown>
beforeAll(() => {
  machines = definitions(templateOf(synthesised().pipelines))
})

describe.each(Object.keys(pipelines) as PipelineId[])('the pipeline %s', (id) => {
  const firstStep = stepsOf(row(id))[0]?.name ?? ''
  const cleansUp = row(id).nodes.some(({ kind }) => kind === 'lastly')
  const lastBody = stepsOf(row(id)).at(cleansUp ? -2 : -1)?.name ?? ''

  it('means the same to Step Functions and in process when all goes well', async () => {
    const here = await inProcess(id)
    const there = await stateMachine(machines.get(id), id)
    expect(there.outcome).toEqual(here.outcome)
    expect(there.seen).toEqual(here.seen)
    expect(here.seen.length).toBeGreaterThanOrEqual(stepsOf(row(id)).length)
  })

  it('asks again for work that goes on elsewhere, without counting it as failed', async () => {
    const here = await inProcess(id, undefined, firstStep)
    const there = await stateMachine(machines.get(id), id, undefined, firstStep)
    expect(here.seen.filter(([name]) => name === firstStep)).toHaveLength(11)
    expect(there).toEqual(here)
  })

  it.each([...new Set([firstStep, lastBody])])('cleans up and fails the same when %s fails for good', async (fails) => {
    const here = await inProcess(id, fails)
    const there = await stateMachine(machines.get(id), id, fails)
    expect(there.seen).toEqual(here.seen)
    const failure = { code: 'invalid_model', detail: `${fails} cannot` }
    if (cleansUp) expect(here.seen.at(-1)?.[1].failure).toEqual(failure)
    expect(there.outcome.error).toContain('invalid_model')
    expect(here.outcome.error).toContain('invalid_model')
  })
})
