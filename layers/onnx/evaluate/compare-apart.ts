import type { CompareOptions, Comparison } from './compare.ts'
import { RunFault, type RunFaultReason } from './fault.ts'
import { startGuarded } from './guarded-process.ts'
import { ArrayFault } from './npy.ts'

type Answer = { ok: true; comparison: Comparison } | { ok: false; kind: RunFaultReason | 'arrays' | 'fault'; detail: string }

const entry = new URL('./compare-child.ts', import.meta.url)

/**
 * `compare` in a process of its own: a calibration file that unpacks to a gigabyte, or outputs as large, can neither stall nor fill
 * the caller. Fails as `compare` does, and with RunFault `timeout`, `memory` or `crashed` when the comparison itself is too much.
 */
export async function compareApart(request: CompareOptions, limit_ms: number, signal?: AbortSignal): Promise<Comparison> {
  const child = startGuarded(entry, { memory_bytes: request.memory_limit_bytes, label: 'The comparison', signal })
  try {
    // Both ends are this folder's code.
    const answer = (await child.ask(request, limit_ms)) as Answer
    if (answer.ok) return answer.comparison
    if (answer.kind === 'arrays') throw new ArrayFault(answer.detail)
    if (answer.kind === 'fault') throw new Error(`The comparison failed: ${answer.detail}`)
    throw new RunFault(answer.kind, answer.detail)
  } finally {
    await child.stop()
  }
}
