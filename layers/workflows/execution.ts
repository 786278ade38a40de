import { asPlatformError, errorChain, isPlatformError, PlatformError } from '../core/contract/errors.ts'
import {
  isFinal,
  isPending,
  type PipelineNode,
  type PipelineRow,
  pendingLimit_s,
  pendingWait_s,
  type StepNode,
} from '../core/contract/pipelines.ts'
import { JsonObject } from '../core/domain/json.ts'
import type { Log } from '../core/ports/log.ts'
import type { Step, StepContext } from '../core/ports/workflows.ts'
import type { ExecutionJournal, Fault, Head, Lease } from './journal.ts'

export interface ExecutionParts {
  journal: ExecutionJournal
  steps: ReadonlyMap<string, Step>
  log: Log
  /** Wait before the first repeat of a step, milliseconds; doubles. */
  backoff_ms: number
  /** Aborts when the host stops. */
  stop: AbortSignal
}

/** The host stops, or somebody else took the execution over: nothing failed, and whoever comes next goes on from the checkpoints. */
class Interrupted extends Error {}

/**
 * Runs one execution from its last checkpoint to its end. A finished step is never run again: its answer is read back and merged
 * as it was the first time. Answers false when it was interrupted and remains to be done.
 */
export const runExecution = async (parts: ExecutionParts, row: PipelineRow, head: Head, lease: Lease): Promise<boolean> => {
  try {
    const done = head.failure ? { failure: head.failure } : await runNodes(parts, row, head, lease)
    const late = await runLastly(parts, row, head, lease, done.failure)
    const failure = done.failure ?? late
    await parts.journal.finish(
      head,
      lease,
      failure ? { state: 'failed', failure, output: null } : { state: 'succeeded', failure: null, output: done.state ?? {} },
    )
    parts.log.info('execution finished', {
      pipeline: head.pipeline,
      execution_id: head.execution_id,
      state: failure ? 'failed' : 'succeeded',
      ...failure,
    })
    return true
  } catch (error) {
    if (error instanceof Interrupted || isPlatformError(error, 'version_conflict')) return false
    throw error
  }
}

const runNodes = async (
  parts: ExecutionParts,
  row: PipelineRow,
  head: Head,
  lease: Lease,
): Promise<{ state?: JsonObject; failure?: Fault }> => {
  try {
    let state = head.input
    for (const [at, node] of row.nodes.entries()) state = await runNode(parts, head, lease, node, `${at}`, state)
    return { state }
  } catch (error) {
    if (error instanceof Interrupted) throw error
    const failure = faultOf(error)
    await parts.journal.noteFailure(head, lease, failure)
    return { failure }
  }
}

const runNode = async (
  parts: ExecutionParts,
  head: Head,
  lease: Lease,
  node: PipelineNode,
  at: string,
  state: JsonObject,
): Promise<JsonObject> => {
  if (node.kind === 'lastly') return state
  if (node.kind === 'step') return { ...state, ...(await runOnce(parts, head, lease, node, `${at}.${node.name}`, state)) }
  const list = state[node.list]
  if (!Array.isArray(list))
    throw new PlatformError('internal', `Pipeline ${head.pipeline} wanted a list under "${node.list}", got ${typeof list}`)
  const items: JsonObject[] = []
  for (const [round, element] of list.entries()) {
    let item = JsonObject.parse(element)
    for (const step of node.steps) {
      item = { ...item, ...(await runOnce(parts, head, lease, step, `${at}.${round}.${step.name}`, { ...state, item })) }
    }
    items.push(item)
  }
  return { ...state, [node.list]: items }
}

/** `lastly` steps see the input, not the state: they must be able to clean up wherever the pipeline broke. Answers the first failure. */
const runLastly = async (
  parts: ExecutionParts,
  row: PipelineRow,
  head: Head,
  lease: Lease,
  failure: Fault | undefined,
): Promise<Fault | undefined> => {
  let first: Fault | undefined
  const state: JsonObject = { ...head.input, execution_id: head.execution_id, ...(failure && { failure }) }
  for (const [at, node] of row.nodes.entries()) {
    if (node.kind !== 'lastly') continue
    try {
      await runOnce(parts, head, lease, node.step, `${at}.${node.step.name}`, state)
    } catch (error) {
      if (error instanceof Interrupted) throw error
      first ??= faultOf(error)
    }
  }
  return first
}

/** The step's answer: the checkpoint's when it finished before, else by running it, with its retries, and writing the checkpoint. */
const runOnce = async (
  parts: ExecutionParts,
  head: Head,
  lease: Lease,
  node: StepNode,
  path: string,
  state: JsonObject,
): Promise<JsonObject> => {
  const finished = await parts.journal.checkpoint(head, path)
  if (finished) return finished
  const started_ms = performance.now()
  const answer = await repeat(parts, head, node, state)
  await parts.journal.saveCheckpoint(head, lease, path, answer).catch((error: unknown) => {
    if (isPlatformError(error, 'version_conflict'))
      throw new Interrupted('another host took this execution over', { cause: error })
    throw error
  })
  parts.log.info('step finished', {
    pipeline: head.pipeline,
    execution_id: head.execution_id,
    step: path,
    ms: Math.round(performance.now() - started_ms),
  })
  return answer
}

const repeat = async (parts: ExecutionParts, head: Head, node: StepNode, state: JsonObject): Promise<JsonObject> => {
  const until_ms = performance.now() + pendingLimit_s * 1000
  for (let tried = 0; ; tried += 1) {
    if (parts.stop.aborted) throw new Interrupted('the host is stopping')
    try {
      return await runLimited(parts, head, node, state)
    } catch (error) {
      if (parts.stop.aborted) throw new Interrupted('the host is stopping', { cause: error })
      if (isPending(error) && performance.now() < until_ms) {
        tried -= 1
        await pause(Math.min(asPlatformError(error).extras.retry_after_s ?? pendingWait_s, pendingWait_s) * 1000, parts.stop)
        continue
      }
      parts.log.warn('step failed', {
        pipeline: head.pipeline,
        execution_id: head.execution_id,
        step: node.name,
        attempt: tried + 1,
        ...faultOf(error),
        cause: errorChain(error),
      })
      if (isFinal(error) || tried >= node.retries) throw error
      await pause(parts.backoff_ms * 2 ** tried, parts.stop)
    }
  }
}

/** One attempt within `timeout_s`. The step is told by its signal; one that does not listen is left behind and its answer dropped. */
const runLimited = async (parts: ExecutionParts, head: Head, node: StepNode, state: JsonObject): Promise<JsonObject> => {
  const step = parts.steps.get(node.name)
  if (!step)
    throw new PlatformError('unavailable_here', `Step ${node.name} of pipeline ${head.pipeline} is not known to this host`)
  const limit = new AbortController()
  const context: StepContext = {
    execution_id: head.execution_id,
    cancelled: async () => (await parts.journal.read(head.pipeline, head.execution_id))?.head.cancel_requested ?? false,
    signal: AbortSignal.any([parts.stop, limit.signal]),
  }
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    late.reject(new PlatformError('timeout', `Step ${node.name} took longer than ${node.timeout_s} s`))
    limit.abort()
  }, node.timeout_s * 1000)
  try {
    // What crosses a step boundary is JSON, exactly as between two states of Step Functions.
    return JsonObject.parse(JSON.parse(JSON.stringify(await Promise.race([step(structuredClone(state), context), late.promise]))))
  } finally {
    clearTimeout(timer)
  }
}

const faultOf = (error: unknown): Fault => {
  const { code, message } = asPlatformError(error)
  return { code, detail: message }
}

const pause = (wait_ms: number, stop: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      stop.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, wait_ms)
    stop.addEventListener('abort', end)
  })
