/** A process that serves calls one after another until it is closed. */
interface Room {
  close(): Promise<void>
}

export interface KeptRooms<Each extends Room> {
  /** Runs `work` in the room that is kept, or, while that is at work, in one of its own. The signal closes the room it works in. */
  use<Answer>(work: (room: Each) => Promise<Answer>, signal?: AbortSignal): Promise<Answer>
  close(): Promise<void>
}

/**
 * Keeps a room open for the next call, `keep_ms` after the last one at most (Infinity: until `close`; 0: not at all): starting its
 * processes takes longer than what most candidates need of them.
 */
export function keptRooms<Each extends Room>(open: () => Each, keep_ms: number): KeptRooms<Each> {
  let kept: Each | undefined
  let busy = false
  let idle: NodeJS.Timeout | undefined
  const close = async (): Promise<void> => {
    clearTimeout(idle)
    const ending = kept
    kept = undefined
    await ending?.close()
  }
  const briefly = async <Answer>(work: (room: Each) => Promise<Answer>, signal: AbortSignal | undefined): Promise<Answer> => {
    const room = open()
    try {
      return await stoppable(room, work, signal)
    } finally {
      await room.close()
    }
  }
  return {
    async use(work, signal) {
      if (busy || keep_ms === 0) return briefly(work, signal)
      busy = true
      clearTimeout(idle)
      kept ??= open()
      try {
        return await stoppable(kept, work, signal)
      } finally {
        busy = false
        if (keep_ms !== Number.POSITIVE_INFINITY) idle = setTimeout(close, keep_ms).unref()
      }
    },
    close,
  }
}

async function stoppable<Each extends Room, Answer>(
  room: Each,
  work: (room: Each) => Promise<Answer>,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const stop = (): void => void room.close()
  signal?.addEventListener('abort', stop)
  try {
    const answer = work(room)
    if (signal?.aborted) stop()
    return await answer
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}
