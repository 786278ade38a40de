import type { ModelInstance } from './instance.ts'

export interface Spares {
  /** A process whose runtime is loaded, or is loading; a new spare is started soon after. */
  take(): ModelInstance
  stop(): void
}

/** A new spare is not started before this: it would compete with the model that is just waking. */
const refill_after_ms = 400

/**
 * Keeps processes ready that have Node and onnxruntime in memory: opening a 7 MB model in one takes about 15 ms, from nothing 100.
 */
export const spareInstances = (start: () => ModelInstance, count: number): Spares => {
  const ready: ModelInstance[] = []
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  const fill = (): void => {
    timer = undefined
    while (!stopped && ready.length < count) {
      const spare = start()
      ready.push(spare)
      void spare.exited.then(() => {
        const at = ready.indexOf(spare)
        if (at >= 0) ready.splice(at, 1)
      })
    }
  }
  const refill = (): void => {
    if (!stopped) timer ??= setTimeout(fill, refill_after_ms).unref()
  }
  refill()
  return {
    take: () => {
      const spare = ready.shift()
      refill()
      return spare ?? start()
    },
    stop: () => {
      stopped = true
      clearTimeout(timer)
      for (const spare of ready.splice(0)) spare.kill('the platform stops')
    },
  }
}
