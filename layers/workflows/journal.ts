import * as z from 'zod'
import { isPlatformError, PlatformError } from '../core/contract/errors.ts'
import { JsonObject } from '../core/domain/json.ts'
import type { Key, Operation, Records } from '../core/ports/records.ts'

/** Finished executions, and the checkpoints of all, are kept for 30 days. */
const KEPT_S = 30 * 86_400
const RUNNING = 'executions#running'

const Fault = z.object({ code: z.string(), detail: z.string() })
export type Fault = z.infer<typeof Fault>

/** The one document per execution that says how it stands. `failure` is there as soon as a step has failed, while `lastly` still runs. */
const Head = z.object({
  pipeline: z.string(),
  execution_id: z.string(),
  input: JsonObject,
  state: z.enum(['running', 'succeeded', 'failed']),
  cancel_requested: z.boolean(),
  failure: Fault.nullable(),
  output: JsonObject.nullable(),
  created_at: z.string(),
  finished_at: z.string().nullable(),
})
export type Head = z.infer<typeof Head>

/** The right to work on an execution. Whoever takes it later makes every write of the earlier holder fail (a fencing token). */
export interface Lease {
  version: string
}

/**
 * What executions leave in records: `pk: execution#<pipeline>#<id>` with `head`, `lease` and one `checkpoint#<path>` per finished step.
 * Running ones stand in the worklist `executions#running`, oldest first.
 */
export const executionJournal = ({ records, now }: { records: Records; now(): Date }) => {
  const keyOf = (pipeline: string, execution_id: string, sk: string): Key => ({ pk: `execution#${pipeline}#${execution_id}`, sk })
  const leaseCheck = (head: Head, lease: Lease): Operation => ({
    check: keyOf(head.pipeline, head.execution_id, 'lease'),
    expect: { version: lease.version },
  })
  const expiry = () => Math.floor(now().getTime() / 1000) + KEPT_S

  const read = async (pipeline: string, execution_id: string): Promise<{ head: Head; version: string } | undefined> => {
    const stored = await records.get(keyOf(pipeline, execution_id, 'head'))
    return stored && { head: Head.parse(stored.body), version: stored.version }
  }

  const put = (head: Head, expect: 'absent' | { version: string }): Operation => {
    const running = { worklist: { pk: RUNNING, sk: `${head.created_at}#${head.execution_id}` } }
    return {
      put: {
        ...keyOf(head.pipeline, head.execution_id, 'head'),
        body: head,
        ...(head.state === 'running' ? running : { expires_at: expiry() }),
      },
      expect,
    }
  }

  /** Changes the head and lays `others` beside it; a concurrent change of the head (a cancel) is read and kept. */
  const amend = async (
    pipeline: string,
    execution_id: string,
    change: (head: Head) => Head,
    others: Operation[] = [],
  ): Promise<void> => {
    for (;;) {
      const found = await read(pipeline, execution_id)
      if (!found) return
      const written = await records.write([put(change(found.head), { version: found.version }), ...others]).then(
        () => true,
        async (error: unknown) => {
          const moved = (await read(pipeline, execution_id))?.version !== found.version
          if (error instanceof PlatformError && error.code === 'version_conflict' && moved) return false
          throw error
        },
      )
      if (written) return
    }
  }

  return {
    read,
    create: (head: Head): Promise<string[]> => records.write([put(head, 'absent')]),
    lease: async (head: Head): Promise<Lease> => {
      const [version = ''] = await records.write([
        { put: { ...keyOf(head.pipeline, head.execution_id, 'lease'), body: {} }, expect: 'any' },
      ])
      return { version }
    },
    checkpoint: async (head: Head, path: string): Promise<JsonObject | undefined> =>
      (await records.get(keyOf(head.pipeline, head.execution_id, `checkpoint#${path}`)))?.body,
    saveCheckpoint: (head: Head, lease: Lease, path: string, answer: JsonObject): Promise<string[]> =>
      records.write([
        leaseCheck(head, lease),
        {
          put: { ...keyOf(head.pipeline, head.execution_id, `checkpoint#${path}`), body: answer, expires_at: expiry() },
          expect: 'any',
        },
      ]),
    noteFailure: (head: Head, lease: Lease, failure: Fault): Promise<void> =>
      amend(head.pipeline, head.execution_id, (at) => ({ ...at, failure }), [leaseCheck(head, lease)]),
    /** An output that does not fit beside the input fails the execution: unwritten it would be run again for ever. */
    finish: (head: Head, lease: Lease, end: Pick<Head, 'state' | 'output' | 'failure'>): Promise<void> => {
      const write = (how: typeof end): Promise<void> =>
        amend(head.pipeline, head.execution_id, (at) => ({ ...at, ...how, finished_at: now().toISOString() }), [
          { remove: keyOf(head.pipeline, head.execution_id, 'lease'), expect: { version: lease.version } },
        ])
      return write(end).catch((error: unknown) => {
        if (end.output === null || !isPlatformError(error, 'invalid_request')) throw error
        const failure = { code: 'payload_too_large', detail: 'The state after the last step is too large to be kept' }
        return write({ state: 'failed', output: null, failure })
      })
    },
    requestCancel: (pipeline: string, execution_id: string): Promise<void> =>
      amend(pipeline, execution_id, (at) => (at.state === 'running' ? { ...at, cancel_requested: true } : at)),
    /** Heads of everything unfinished, oldest first. */
    unfinished: async (): Promise<Head[]> => {
      const heads: Head[] = []
      let cursor: string | undefined
      do {
        const page = await records.query({ index: 'worklist', pk: RUNNING, limit: 1000, ...(cursor !== undefined && { cursor }) })
        for (const item of page.items) {
          const stored = await records.get({ pk: item.pk, sk: item.sk })
          const head = stored && Head.parse(stored.body)
          if (head?.state === 'running') heads.push(head)
        }
        cursor = page.cursor
      } while (cursor !== undefined)
      return heads
    },
  }
}
export type ExecutionJournal = ReturnType<typeof executionJournal>
