import * as z from 'zod'
import { type GuardedProcess, startGuarded } from '../onnx/evaluate/guarded-process.ts'

const entry = new URL('./build-child.ts', import.meta.url)
const Answer = z.union([
  z.object({ ok: z.literal(true), notes: z.array(z.string()) }),
  z.object({ ok: z.literal(false), reason: z.enum(['data', 'nothing_to_do', 'refused']), detail: z.string() }),
])
type Answer = z.infer<typeof Answer>

export interface BuildRoom {
  /** `label` is what the process is called in faults. Fails with RunFault. */
  build(request: object, label: string, limit_ms: number): Promise<Answer>
  close(): Promise<void>
}

/** What builds leave in memory; beyond this share of its limit a process is not used again. */
const MOST_LEFT = 0.25

/** Builds candidates one after another in one process, as long as all goes well in it; starting one takes longer than most builds. */
export function buildRoom(memory_bytes: number, signal?: AbortSignal): BuildRoom {
  let child: GuardedProcess | undefined
  const close = async (): Promise<void> => {
    const ending = child
    child = undefined
    await ending?.stop()
  }
  return {
    async build(request, label, limit_ms) {
      child ??= startGuarded(entry, { memory_bytes, label: 'The optimizer', signal })
      const busy = child
      let sound = false
      try {
        const answer = Answer.parse(await busy.ask(request, limit_ms, label))
        sound = answer.ok && (busy.residentBytes() ?? memory_bytes) < MOST_LEFT * memory_bytes
        return answer
      } finally {
        if (!sound) await close()
      }
    },
    close,
  }
}
