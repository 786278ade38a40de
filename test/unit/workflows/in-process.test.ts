import { afterEach, expect, test } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import { each, lastly, type PipelineNode, step } from '../../../layers/core/contract/pipelines.ts'
import type { JsonObject } from '../../../layers/core/domain/json.ts'
import type { Log } from '../../../layers/core/ports/log.ts'
import type { Records } from '../../../layers/core/ports/records.ts'
import type { Step } from '../../../layers/core/ports/workflows.ts'
import { sqliteRecords } from '../../../layers/records/sqlite.ts'
import { inProcessWorkflows } from '../../../layers/workflows/in-process.ts'
import { keptLog } from '../../support/identity.ts'

const log = { info() {}, warn() {}, error() {} }
const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const clock = { at: new Date('2026-11-20T10:00:00Z') }
const newRecords = () => {
  const records = sqliteRecords({ path: ':memory:', now: () => clock.at })
  closers.push(() => records.close())
  return records
}

const host = (
  nodes: PipelineNode[],
  steps: Record<string, Step>,
  options: { records?: Records; concurrency?: number; grace_ms?: number; log?: Log } = {},
) => {
  const workflows = inProcessWorkflows({
    records: options.records ?? newRecords(),
    pipelines: { 'optimize-model': { id: 'optimize-model', summary: 'for the test', needs: [], nodes } },
    steps: new Map(Object.entries(steps)),
    log: options.log ?? log,
    now: () => clock.at,
    backoff_ms: 1,
    grace_ms: options.grace_ms ?? 1000,
    ...(options.concurrency !== undefined && { concurrency: { 'optimize-model': options.concurrency } }),
  })
  closers.push(() => workflows.stop())
  const ended = async (id: string) => {
    for (;;) {
      const status = await workflows.status('optimize-model', id)
      if (status?.state !== 'running') return status
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
  return { ...workflows, begin: (id: string, input: JsonObject = {}) => workflows.start('optimize-model', id, input), ended }
}

test('answers are merged, each collects its items in order, lastly sees input and execution id only', async () => {
  const seen: JsonObject[] = []
  const flow = host([step('plan'), each('list', step('build'), step('measure')), step('choose'), lastly(step('clean'))], {
    plan: async ({ wanted }) => ({ list: [{ n: 1 }, { n: 2 }], planned: wanted ?? null }),
    build: async (state) => {
      seen.push(state)
      return { built: true }
    },
    measure: async ({ item }) => ({ measured: (item as JsonObject).built ?? null }),
    choose: async (state) => ({ chosen: (state.list as JsonObject[]).map(({ n }) => n ?? null) }),
    clean: async (state) => {
      seen.push(state)
      return { ignored: true }
    },
  })
  await flow.resume()
  await flow.begin('exe_1', { wanted: 'x' })
  const list = [
    { n: 1, built: true, measured: true },
    { n: 2, built: true, measured: true },
  ]
  expect(await flow.ended('exe_1')).toEqual({ state: 'succeeded', output: { wanted: 'x', planned: 'x', list, chosen: [1, 2] } })
  expect(seen[0]).toEqual({ wanted: 'x', planned: 'x', list: [{ n: 1 }, { n: 2 }], item: { n: 1 } })
  expect(seen[2]).toEqual({ wanted: 'x', execution_id: 'exe_1' })
})

test('a failing step is repeated as often as its row says, then lastly runs with the failure', async () => {
  let tries = 0
  let after: JsonObject = {}
  const flow = host([step('shaky', { retries: 2 }), step('never'), lastly(step('clean'))], {
    shaky: async () => {
      tries += 1
      throw new Error('broken inside')
    },
    never: async () => expect.unreachable(),
    clean: async (state) => {
      after = state
      return {}
    },
  })
  await flow.resume()
  await flow.begin('exe_1')
  expect(await flow.ended('exe_1')).toMatchObject({ state: 'failed', error: { code: 'internal' } })
  expect(tries).toBe(3)
  expect(after).toEqual({
    execution_id: 'exe_1',
    failure: { code: 'internal', detail: 'The platform failed to answer this request' },
  })
})

test('a step that succeeds at its second attempt succeeds; what cannot change is not repeated', async () => {
  let shaky = 0
  let hopeless = 0
  const flow = host([step('shaky'), step('hopeless', { retries: 5 })], {
    shaky: async () => {
      shaky += 1
      if (shaky === 1) throw new PlatformError('unavailable', 'later')
      return {}
    },
    hopeless: async () => {
      hopeless += 1
      throw new PlatformError('invalid_model', 'no graph')
    },
  })
  await flow.resume()
  await flow.begin('exe_1')
  expect(await flow.ended('exe_1')).toEqual({ state: 'failed', error: { code: 'invalid_model', detail: 'no graph' } })
  expect([shaky, hopeless]).toEqual([2, 1])
})

test('a step past its time-out is told, left behind and repeated', async () => {
  const aborted: boolean[] = []
  const flow = host([step('slow', { timeout_s: 0.02, retries: 1 })], {
    slow: (_state, { signal }) =>
      new Promise(() => {
        signal.addEventListener('abort', () => aborted.push(true))
      }),
  })
  await flow.resume()
  await flow.begin('exe_1')
  expect(await flow.ended('exe_1')).toMatchObject({ state: 'failed', error: { code: 'timeout' } })
  expect(aborted).toEqual([true, true])
})

test.each([
  { what: 'an answer that is no JSON object', nodes: [step('odd', { retries: 0 })], code: 'internal' },
  { what: 'a step that the host does not know', nodes: [step('absent', { retries: 0 })], code: 'unavailable_here' },
  { what: 'a list that is none', nodes: [step('listless'), each('list', step('odd'))], code: 'internal' },
])('$what fails the execution, not the host', async ({ nodes, code }) => {
  const flow = host(nodes, { odd: async () => JSON.parse('7'), listless: async () => ({ list: 'none' }) })
  await flow.resume()
  await flow.begin('exe_1')
  expect(await flow.ended('exe_1')).toMatchObject({ state: 'failed', error: { code } })
})

test('starting one execution id many times at once is one execution', async () => {
  let ran = 0
  const flow = host([step('count')], {
    count: async () => {
      ran += 1
      return {}
    },
  })
  await flow.resume()
  await Promise.all(Array.from({ length: 20 }, () => flow.begin('exe_1')))
  await flow.ended('exe_1')
  await flow.begin('exe_1')
  expect(ran).toBe(1)
  expect(await flow.status('optimize-model', 'exe_other')).toBeUndefined()
})

test('cancelling raises the flag that steps read, and lastly still runs', async () => {
  const flags: boolean[] = []
  const reached = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  let cleaned = false
  const flow = host([step('look'), step('after'), lastly(step('clean'))], {
    look: async (_state, context) => {
      flags.push(await context.cancelled())
      reached.resolve()
      await go.promise
      return {}
    },
    after: async (_state, context) => {
      flags.push(await context.cancelled())
      throw new PlatformError('conflict', 'cancelled')
    },
    clean: async () => {
      cleaned = true
      return {}
    },
  })
  await flow.resume()
  await flow.begin('exe_1')
  await reached.promise
  await flow.cancel('optimize-model', 'exe_1')
  go.resolve()
  expect(await flow.ended('exe_1')).toMatchObject({ state: 'failed', error: { code: 'conflict' } })
  expect(flags).toEqual([false, true])
  expect(cleaned).toBe(true)
  await flow.cancel('optimize-model', 'exe_unknown')
})

test('no more executions at once than allowed, first come first served', async () => {
  const order: string[] = []
  let now = 0
  let most = 0
  const flow = host(
    [step('work')],
    {
      work: async (_state, { execution_id }) => {
        order.push(execution_id)
        now += 1
        most = Math.max(most, now)
        await new Promise((resolve) => setTimeout(resolve, 3))
        now -= 1
        return {}
      },
    },
    { concurrency: 2 },
  )
  const ids = Array.from({ length: 8 }, (_, at) => `exe_${at}`)
  for (const id of ids) await flow.begin(id)
  expect(order).toEqual([])
  await flow.resume()
  await Promise.all(ids.map(flow.ended))
  expect(order).toEqual(ids)
  expect(most).toBe(2)
})

test('what a stopped host left goes on at its last finished step, in order, with the failure it had', async () => {
  const records = newRecords()
  const trace: string[] = []
  const nodes = [step('one'), step('two', { retries: 0 }), lastly(step('clean', { retries: 0 }))]
  const note =
    (name: string, answer: Step = async () => ({})): Step =>
    (state, context) => {
      trace.push(name)
      return answer(state, context)
    }
  const hang: Step = (_state, { signal }) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('host stops'))))
  const fail: Step = async () => {
    throw new PlatformError('invalid_model', 'bad')
  }
  const first = host(nodes, { one: note('one'), two: note('two', hang), clean: note('clean') }, { records })
  await first.resume()
  await first.begin('exe_1')
  await waitFor(() => trace.includes('two'))
  await first.stop()
  expect(await first.status('optimize-model', 'exe_1')).toEqual({ state: 'running' })
  const second = host(nodes, { one: note('one'), two: note('two', fail), clean: note('clean', hang) }, { records })
  await second.resume()
  await waitFor(() => trace.includes('clean'))
  await second.stop()
  const third = host(nodes, { one: note('one'), two: note('two'), clean: note('clean') }, { records })
  await third.resume()
  expect(await third.ended('exe_1')).toEqual({ state: 'failed', error: { code: 'invalid_model', detail: 'bad' } })
  expect(trace).toEqual(['one', 'two', 'two', 'clean', 'clean'])
})

test.each([
  false,
  true,
])('a host that dies at any write (after it: %s) is succeeded by one that ends the execution', async (after) => {
  const nodes = [step('one'), each('list', step('two', { retries: 0 })), step('three', { retries: 0 }), lastly(step('clean'))]
  for (let nth = 1, died = true; died; nth += 1) {
    const records = newRecords()
    const ran: string[] = []
    const note =
      (name: string, answer: JsonObject): Step =>
      async ({ item }) => {
        ran.push(item === undefined ? name : `${name}:${JSON.stringify(item)}`)
        return answer
      }
    const steps = {
      one: note('one', { list: [{ n: 1 }, { n: 2 }] }),
      two: note('two', { done: true }),
      three: note('three', { end: true }),
      clean: note('clean', {}),
    }
    let writes = 0
    died = false
    const mortal: typeof records.write = async (operations) => {
      if (died) throw new Error('the host is dead')
      writes += 1
      if (writes !== nth) return records.write(operations)
      died = true
      if (after) await records.write(operations)
      throw new Error('the host died')
    }
    const first = host(nodes, steps, { records: { ...records, write: mortal } })
    await first.resume()
    const begun = await first.begin('exe_1').then(
      () => true,
      () => false,
    )
    if (begun) await waitFor(() => died || ran.includes('clean'))
    await first.stop()
    const second = host(nodes, steps, { records })
    await second.resume()
    if (!begun) await second.begin('exe_1')
    const list = [
      { n: 1, done: true },
      { n: 2, done: true },
    ]
    expect(await second.ended('exe_1')).toEqual({ state: 'succeeded', output: { list, end: true } })
    // One step at most had finished without its checkpoint.
    const once = ['one', 'two:{"n":1}', 'two:{"n":2}', 'three', 'clean']
    expect([...new Set(ran)]).toEqual(once)
    expect(ran.length).toBeLessThanOrEqual(once.length + 1)
  }
})

test('a host that lost an execution to another one writes nothing more', async () => {
  const records = newRecords()
  const released = Promise.withResolvers<void>()
  const trace: string[] = []
  const nodes = [step('one'), step('two')]
  const zombie = host(
    nodes,
    { one: async () => released.promise.then(() => ({ by: 'zombie' })), two: async () => expect.unreachable() },
    { records },
  )
  await zombie.resume()
  await zombie.begin('exe_1')
  await new Promise((resolve) => setTimeout(resolve, 10))
  const heir = host(
    nodes,
    { one: async () => ({ by: 'heir' }), two: async ({ by }) => ({ seen: trace.push(String(by)) }) },
    { records },
  )
  await heir.resume()
  expect(await heir.ended('exe_1')).toMatchObject({ output: { by: 'heir' } })
  released.resolve()
  await zombie.stop()
  expect(trace).toEqual(['heir'])
  expect(await heir.status('optimize-model', 'exe_1')).toMatchObject({ output: { by: 'heir' } })
})

test('finished executions are forgotten after 30 days, running ones never', async () => {
  const flow = host([step('one')], { one: async () => ({}) })
  await flow.resume()
  await flow.begin('exe_1')
  await flow.ended('exe_1')
  clock.at = new Date(clock.at.getTime() + 29 * 86_400_000)
  expect(await flow.status('optimize-model', 'exe_1')).toMatchObject({ state: 'succeeded' })
  clock.at = new Date(clock.at.getTime() + 2 * 86_400_000)
  expect(await flow.status('optimize-model', 'exe_1')).toBeUndefined()
})

const waitFor = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2))
}

test('an execution that the records failed goes on by itself once they work again', async () => {
  const real = newRecords()
  let failing = 0
  const records: Records = {
    ...real,
    write: (operations) => {
      if (failing === 0) return real.write(operations)
      failing -= 1
      return Promise.reject(new PlatformError('storage_full', 'no room for the test'))
    },
  }
  const runs: string[] = []
  const flow = host(
    [step('first'), lastly(step('clean'))],
    {
      first: async () => {
        // The checkpoint of this step fails, and so does the note of that failure.
        if (runs.push('first') === 1) failing = 2
        return { done: true }
      },
      clean: async () => ({}),
    },
    { records },
  )
  await flow.resume()
  await flow.begin('exe_1')
  expect(await flow.ended('exe_1')).toEqual({ state: 'succeeded', output: { done: true } })
  expect(runs).toEqual(['first', 'first'])
})

test('the log says what a step really failed with, whatever hangs on the error', async () => {
  const kept = keptLog()
  const flow = host(
    [step('first', { retries: 0 })],
    {
      first: async () => {
        const cause: { self?: unknown } = {}
        cause.self = cause
        throw Object.assign(new TypeError('the disk spoke in riddles'), { cause })
      },
    },
    { log: kept },
  )
  await flow.resume()
  await flow.begin('exe_1')
  expect(await flow.ended('exe_1')).toMatchObject({ state: 'failed', error: { code: 'internal' } })
  expect(kept.lines.filter((line) => line.includes('the disk spoke in riddles'))).toHaveLength(1)
})
