import type { CompareOptions, Comparison } from './compare.ts'
import { RunFault, type RunFaultReason } from './fault.ts'
import { type GuardedProcess, startGuarded } from './guarded-process.ts'
import { ArrayFault } from './npy.ts'

type Answer = { ok: true; comparison: Comparison } | { ok: false; kind: RunFaultReason | 'arrays' | 'fault'; detail: string }

const entry = new URL('./compare-child.ts', import.meta.url)

export interface ComparisonRoom {
  compare(request: CompareOptions, limit_ms: number): Promise<Comparison>
  close(): Promise<void>
}

/**
 * `compare` in a process of its own: a calibration file that unpacks to a gigabyte, or outputs as large, can neither stall nor fill
 * the caller. The process, and the original loaded by it, stay until `close`, for candidates one after another. Comparisons fail as
 * `compare` does, and with RunFault `timeout`, `memory` or `crashed` when the comparison itself is too much; the next has a new process.
 */
export function comparisonRoom(signal?: AbortSignal): ComparisonRoom {
  let child: GuardedProcess | undefined
  const close = async (): Promise<void> => {
    const ending = child
    child = undefined
    await ending?.stop()
  }
  return {
    async compare(request, limit_ms) {
      child ??= startGuarded(entry, { memory_bytes: request.memory_limit_bytes, label: 'The comparison', signal })
      // Both ends are this folder's code.
      const answer = await child.ask(request, limit_ms).catch(async (error: unknown) => {
        await close()
        throw error
      })
      return comparisonOf(answer as Answer)
    },
    close,
  }
}

function comparisonOf(answer: Answer): Comparison {
  if (answer.ok) return answer.comparison
  if (answer.kind === 'arrays') throw new ArrayFault(answer.detail)
  if (answer.kind === 'fault') throw new Error(`The comparison failed: ${answer.detail}`)
  throw new RunFault(answer.kind, answer.detail)
}

/** One comparison in a room of its own. */
export async function compareApart(request: CompareOptions, limit_ms: number, signal?: AbortSignal): Promise<Comparison> {
  const room = comparisonRoom(signal)
  try {
    return await room.compare(request, limit_ms)
  } finally {
    await room.close()
  }
}
