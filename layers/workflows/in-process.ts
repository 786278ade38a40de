import { errorChain, isPlatformError, PlatformError } from '../core/contract/errors.ts'
import type { PipelineRow } from '../core/contract/pipelines.ts'
import type { Log } from '../core/ports/log.ts'
import type { Records } from '../core/ports/records.ts'
import type { Step, Workflows } from '../core/ports/workflows.ts'
import { checkedStart } from './checked-start.ts'
import { type ExecutionParts, runExecution } from './execution.ts'
import { executionJournal } from './journal.ts'

export interface InProcessParts {
  records: Records
  pipelines: Readonly<Record<string, PipelineRow>>
  /** By name; the host may fill it until it calls `resume`. */
  steps: ReadonlyMap<string, Step>
  log: Log
  now(): Date
  /** Executions of one pipeline at a time, first come first served. Others than named: 4. */
  concurrency?: Readonly<Record<string, number>>
  backoff_ms?: number
  /** How long `stop` waits for running steps. */
  grace_ms?: number
}

/** One optimisation at a time: its measurements would disturb each other. */
const CONCURRENCY: Readonly<Record<string, number>> = { 'optimize-model': 1, 'provision-deployment': 8 }
const CONCURRENCY_OF_OTHERS = 4
/** The wait before an execution that the records failed is taken up again doubles this often, from `backoff_ms`: a second to four minutes. */
const MOST_DOUBLINGS = 8

/**
 * Pipelines run inside the host, with every step's answer in records. Nothing runs before `resume`, which also takes up what an
 * earlier host left; the one host per data folder is what the lock on the records guarantees. After `stop` new executions are
 * written down and run at the next start.
 */
export const inProcessWorkflows = (parts: InProcessParts): Workflows & { resume(): Promise<void>; stop(): Promise<void> } => {
  const journal = executionJournal(parts)
  const stopping = new AbortController()
  const execution: ExecutionParts = {
    journal,
    steps: parts.steps,
    log: parts.log,
    backoff_ms: parts.backoff_ms ?? 1000,
    stop: stopping.signal,
  }
  const limits = { ...CONCURRENCY, ...parts.concurrency }
  const waiting = new Map<string, string[]>()
  const broken = new Map<string, number>()
  const known = new Set<string>()
  const running = new Map<Promise<void>, string>()
  let open = false

  const rowOf = (pipeline: string): PipelineRow => {
    const row = parts.pipelines[pipeline]
    if (!row)
      throw new PlatformError('internal', `Pipeline ${pipeline} is unknown; known are ${Object.keys(parts.pipelines).join(', ')}`)
    return row
  }

  const enqueue = (pipeline: string, execution_id: string): void => {
    const name = `${pipeline}#${execution_id}`
    if (known.has(name)) return
    known.add(name)
    waiting.set(pipeline, [...(waiting.get(pipeline) ?? []), execution_id])
    pump(pipeline)
  }

  const pump = (pipeline: string): void => {
    const limit = limits[pipeline] ?? CONCURRENCY_OF_OTHERS
    while (open && !stopping.signal.aborted && [...running.values()].filter((name) => name === pipeline).length < limit) {
      const execution_id = waiting.get(pipeline)?.shift()
      if (execution_id === undefined) return
      const job = run(pipeline, execution_id).finally(() => {
        running.delete(job)
        known.delete(`${pipeline}#${execution_id}`)
        pump(pipeline)
      })
      running.set(job, pipeline)
    }
  }

  /** Never rejects: what breaks here (records out of reach, disk full) is no answer of the pipeline, so the execution is taken up again later. */
  const run = async (pipeline: string, execution_id: string): Promise<void> => {
    const name = `${pipeline}#${execution_id}`
    try {
      const found = await journal.read(pipeline, execution_id)
      if (found?.head.state === 'running')
        await runExecution(execution, rowOf(pipeline), found.head, await journal.lease(found.head))
      broken.delete(name)
    } catch (error) {
      const times = broken.get(name) ?? 0
      broken.set(name, times + 1)
      const wait_ms = execution.backoff_ms * 2 ** Math.min(times, MOST_DOUBLINGS)
      parts.log.error('execution interrupted', { pipeline, execution_id, again_in_ms: wait_ms, cause: errorChain(error) })
      setTimeout(() => enqueue(pipeline, execution_id), wait_ms).unref()
    }
  }

  return {
    start: async (pipeline, execution_id, input) => {
      checkedStart(pipeline, execution_id, input, Object.keys(parts.pipelines))
      const created_at = parts.now().toISOString()
      const head = {
        pipeline,
        execution_id,
        input,
        state: 'running' as const,
        cancel_requested: false,
        failure: null,
        output: null,
        created_at,
        finished_at: null,
      }
      const isNew = await journal.create(head).then(
        () => true,
        (error: unknown) => {
          if (isPlatformError(error, 'version_conflict')) return false
          throw error
        },
      )
      if (isNew) enqueue(pipeline, execution_id)
    },
    status: async (pipeline, execution_id) => {
      const head = (await journal.read(pipeline, execution_id))?.head
      return (
        head && {
          state: head.state,
          ...(head.cancel_requested && { cancel_requested: true as const }),
          ...(head.output && { output: head.output }),
          ...(head.failure && { error: head.failure }),
        }
      )
    },
    cancel: (pipeline, execution_id) => journal.requestCancel(pipeline, execution_id),
    resume: async () => {
      open = true
      for (const head of await journal.unfinished()) enqueue(head.pipeline, head.execution_id)
      for (const pipeline of waiting.keys()) pump(pipeline)
    },
    stop: async () => {
      stopping.abort()
      const patience = AbortSignal.timeout(parts.grace_ms ?? 5000)
      await Promise.race([
        Promise.allSettled(running.keys()),
        new Promise((resolve) => patience.addEventListener('abort', resolve)),
      ])
    },
  }
}
