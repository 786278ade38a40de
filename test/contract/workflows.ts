import { afterEach, describe, expect, it } from 'vitest'
import { PlatformError } from '../../layers/core/contract/errors.ts'
import type { JsonObject } from '../../layers/core/domain/json.ts'
import type { ExecutionStatus, Step, Workflows } from '../../layers/core/ports/workflows.ts'
import { failure } from '../support/records.ts'

export interface WorkflowsUnderTest {
  workflows: Workflows
  close(): Promise<void>
}

/** The contract of the workflows port, told with the pipeline `provision-deployment`: one step, two repeats, and a `lastly`. */
export const workflowsContract = (
  name: string,
  open: (steps: ReadonlyMap<string, Step>) => Promise<WorkflowsUnderTest>,
): void => {
  describe(`workflows ${name}`, () => {
    const closers: (() => Promise<void>)[] = []
    afterEach(async () => {
      for (const close of closers.splice(0)) await close()
    })
    const host = async (deploy: Step, settle: Step = async () => ({})) => {
      const steps = new Map([
        ['deploy-revision', deploy],
        ['settle-deployment', settle],
      ])
      const { workflows, close } = await open(steps)
      closers.push(close)
      const status = (id: string) => workflows.status('provision-deployment', id)
      const begin = (id: string, input: JsonObject = {}) => workflows.start('provision-deployment', id, input)
      return { workflows, begin, status, ended: (id: string) => ended(() => status(id)) }
    }
    endTests(host)
    startTests(host)
    sizeTests(host)
    cancelTests(host)
  })
}

const ended = async (status: () => Promise<ExecutionStatus | undefined>): Promise<ExecutionStatus | undefined> => {
  for (;;) {
    const found = await status()
    if (found?.state !== 'running') return found
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

interface Host {
  workflows: Workflows
  begin(id: string, input?: JsonObject): Promise<void>
  status(id: string): Promise<ExecutionStatus | undefined>
  ended(id: string): Promise<ExecutionStatus | undefined>
}
type Open = (deploy: Step, settle?: Step) => Promise<Host>

const endTests = (open: Open): void => {
  it('answer undefined, running, then the state that the last step left', async () => {
    const go = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    const seen: JsonObject[] = []
    const host = await open(
      async (state) => {
        seen.push(state)
        reached.resolve()
        await go.promise
        return { revision: 2, deep: { list: [1, { two: null }] } }
      },
      async (state) => {
        seen.push(state)
        return { left: 'out' }
      },
    )
    expect(await host.status('exe_1')).toBeUndefined()
    const input = { name: 'Straße „π“ 😀', path: '$.not.a.path', empty: {}, none: null }
    await host.begin('exe_1', input)
    await reached.promise
    expect(await host.status('exe_1')).toEqual({ state: 'running' })
    go.resolve()
    const output = { ...input, revision: 2, deep: { list: [1, { two: null }] } }
    expect(await host.ended('exe_1')).toEqual({ state: 'succeeded', output })
    expect(seen).toEqual([input, { ...input, execution_id: 'exe_1' }])
    expect(await host.status('exe_other')).toBeUndefined()
  })

  it('fail with the code and detail of the step, which is not repeated when that is pointless', async () => {
    let tries = 0
    const after: JsonObject[] = []
    const host = await open(
      async () => {
        tries += 1
        throw new PlatformError('invalid_model', 'The graph has “quotes”, \\ and\nlines')
      },
      async (state) => {
        after.push(state)
        return {}
      },
    )
    await host.begin('exe_1', { model_id: 'mod_1' })
    const error = { code: 'invalid_model', detail: 'The graph has “quotes”, \\ and\nlines' }
    expect(await host.ended('exe_1')).toEqual({ state: 'failed', error })
    expect(tries).toBe(1)
    expect(after).toEqual([{ model_id: 'mod_1', execution_id: 'exe_1', failure: error }])
  })

  it('repeat a step that may do better, as often as its row says, and keep what is not told to anybody', async () => {
    const tries: Record<string, number> = { exe_good: 0, exe_bad: 0 }
    const host = await open(async (_state, { execution_id }) => {
      const tried = (tries[execution_id] ?? 0) + 1
      tries[execution_id] = tried
      if (execution_id === 'exe_bad' || tried < 3) throw new Error('password in the text')
      return { tried }
    })
    await Promise.all([host.begin('exe_good'), host.begin('exe_bad')])
    expect(await host.ended('exe_good')).toEqual({ state: 'succeeded', output: { tried: 3 } })
    const bad = await host.ended('exe_bad')
    expect(bad).toMatchObject({ state: 'failed', error: { code: 'internal' } })
    expect(JSON.stringify(bad)).not.toContain('password')
    expect(tries).toEqual({ exe_good: 3, exe_bad: 3 })
  })
}

const startTests = (open: Open): void => {
  it('make one execution of many starts of one id, at once, with another input and after its end', async () => {
    let ran = 0
    const host = await open(async () => {
      ran += 1
      return {}
    })
    await Promise.all(Array.from({ length: 20 }, () => host.begin('exe_1', { n: 1 })))
    await host.begin('exe_1', { n: 2 })
    expect(await host.ended('exe_1')).toEqual({ state: 'succeeded', output: { n: 1 } })
    await host.begin('exe_1', { n: 1 })
    expect(await host.ended('exe_1')).toEqual({ state: 'succeeded', output: { n: 1 } })
    expect(ran).toBe(1)
  })

  it('keep a thousand executions apart', async () => {
    const ids = Array.from({ length: 1000 }, (_, at) => `exe_${at}`)
    const host = await open(async ({ id }, { execution_id }) => ({ same: id === execution_id }))
    await Promise.all(ids.map((id) => host.begin(id, { id })))
    const ends = await Promise.all(ids.map(host.ended))
    expect(ends).toEqual(ids.map((id) => ({ state: 'succeeded', output: { id, same: true } })))
  })

  it('refuse an id, an input or a pipeline that is not possible', async () => {
    const host = await open(async () => ({}))
    for (const id of ['', 'x'.repeat(81), 'a b', 'a/b', 'a:b', 'ä', 'a\n', '*'])
      expect((await failure('invalid_request', host.begin(id))).message).toMatch(/execution id wants/)
    expect((await failure('invalid_request', host.begin('exe_1', { text: 'ü'.repeat(140_000) }))).message).toMatch(
      /262144 bytes.*got 280011/,
    )
    await failure('internal', host.workflows.start('nonsense' as never, 'exe_1', {}))
    expect(await host.status('exe_1')).toBeUndefined()
    await host.begin('exe_1', { text: 'x'.repeat(150_000) })
    expect(await host.ended('exe_1')).toMatchObject({ state: 'succeeded' })
  })
}

const sizeTests = (open: Open): void => {
  it('fail an execution whose state outgrows what can be handed on, and come to an end', async () => {
    const host = await open(async () => ({ text: 'x'.repeat(400_000) }))
    await host.begin('exe_1')
    expect(await host.ended('exe_1')).toMatchObject({ state: 'failed' })
    const grown = await open(async () => ({ text: 'x'.repeat(240_000) }))
    await grown.begin('exe_1', { asked: 'y'.repeat(150_000) })
    expect(await grown.ended('exe_1')).toMatchObject({ state: 'failed' })
  })
}

const cancelTests = (open: Open): void => {
  it('raise a flag that steps and callers see, and still run lastly', async () => {
    const reached = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    const flags: boolean[] = []
    let settled = 0
    const host = await open(
      async (_state, context) => {
        flags.push(await context.cancelled())
        reached.resolve()
        await go.promise
        flags.push(await context.cancelled())
        throw new PlatformError('cancelled', 'Nobody wants it any more')
      },
      async () => {
        settled += 1
        return {}
      },
    )
    await host.begin('exe_1')
    await reached.promise
    await Promise.all([
      host.workflows.cancel('provision-deployment', 'exe_1'),
      host.workflows.cancel('provision-deployment', 'exe_1'),
    ])
    expect(await host.status('exe_1')).toEqual({ state: 'running', cancel_requested: true })
    go.resolve()
    expect(await host.ended('exe_1')).toMatchObject({ state: 'failed', error: { code: 'cancelled' }, cancel_requested: true })
    expect([flags, settled]).toEqual([[false, true], 1])
  })

  it('leave alone what has ended or never was', async () => {
    const host = await open(async () => ({}))
    await host.begin('exe_1')
    const before = await host.ended('exe_1')
    await host.workflows.cancel('provision-deployment', 'exe_1')
    expect(await host.status('exe_1')).toEqual(before)
    await host.workflows.cancel('provision-deployment', 'exe_never')
    expect(await host.status('exe_never')).toBeUndefined()
  })
}
