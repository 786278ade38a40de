import { appendFileSync } from 'node:fs'
import { each, lastly, type PipelineRow, step } from '../../layers/core/contract/pipelines.ts'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { inProcessWorkflows } from '../../layers/workflows/in-process.ts'

/**
 * A host that is meant to be killed: `node workflow-host.ts <records file> <trace file> [name of the step to hang in]`.
 * Every step appends its name to the trace before it answers; the step to hang in prints `hanging` and never answers.
 */
const [path = '', trace = '', hang = ''] = process.argv.slice(2)

export const row: PipelineRow = {
  id: 'optimize-model',
  summary: 'for the test',
  needs: [],
  nodes: [step('first'), each('items', step('build'), step('measure')), step('last'), lastly(step('clean'))],
}

const traced =
  (name: string, answer: Step): Step =>
  async (state, context) => {
    const item =
      typeof state.item === 'object' && state.item !== null && !Array.isArray(state.item) ? `:${String(state.item.n)}` : ''
    appendFileSync(trace, `${name}${item}\n`)
    if (hang === `${name}${item}`) {
      process.stdout.write('hanging\n')
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve))
    }
    return answer(state, context)
  }

const steps = new Map<string, Step>(
  Object.entries({
    first: async () => ({ items: [{ n: 1 }, { n: 2 }, { n: 3 }] }),
    build: async ({ item }) => ({ built: JSON.stringify(item) }),
    measure: async () => ({ measured: true }),
    last: async ({ items }) => ({ count: Array.isArray(items) ? items.length : 0 }),
    clean: async () => ({}),
  } satisfies Record<string, Step>).map(([name, answer]) => [name, traced(name, answer)]),
)

const log = { info() {}, warn() {}, error() {} }
const records = sqliteRecords({ path, now: () => new Date() })
const workflows = inProcessWorkflows({
  records,
  pipelines: { 'optimize-model': row },
  steps,
  log,
  now: () => new Date(),
  backoff_ms: 1,
})
await workflows.start('optimize-model', 'exe_1', { model_id: 'mod_1' })
await workflows.resume()
for (;;) {
  const status = await workflows.status('optimize-model', 'exe_1')
  if (status && status.state !== 'running') {
    process.stdout.write(`${JSON.stringify(status)}\n`)
    break
  }
  await new Promise((resolve) => setTimeout(resolve, 5))
}
await workflows.stop()
records.close()
