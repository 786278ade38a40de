import type { ModelInstance, ModelOpening } from './instance.ts'
import { residentBytes } from './memory-use.ts'

/** One running model process of a pool. */
export interface Member {
  instance: ModelInstance
  /** Takes no more calls; ends when its last call is answered. */
  retiring: boolean
  /** Microseconds from the order to readiness that no call has accounted for yet; 0 when nobody waited for it. */
  init_us: number
  memory_bytes: number
  /** Calls the process computes in one go. */
  batch_limit: number
  idle_since_ms: number
  /** False when its death is a caller's doing (a call over the time limit), not the model's. */
  counts_as_crash: boolean
}

/**
 * Opens the model in a process. One that died before it had any model died of something else, e.g. as a spare: another is taken, once.
 * Fails with the model's fault, or when it takes longer than `timeout_ms`.
 */
export const openMember = async (
  take: () => ModelInstance,
  opening: ModelOpening,
  timeout_ms: number,
  counts_as_cold: boolean,
): Promise<Member> => {
  const started = performance.now()
  let instance = take()
  const timer = setTimeout(() => instance.kill(`its first run took longer than ${timeout_ms / 1000} s`), timeout_ms)
  try {
    const first = instance
    await first.loaded.catch(() => {
      instance = take()
      return instance.loaded
    })
    await instance.open(opening)
  } catch (error) {
    instance.kill('it could not open the model')
    throw error
  } finally {
    clearTimeout(timer)
  }
  const init_us = counts_as_cold ? Math.round((performance.now() - started) * 1000) : 0
  const member: Member = {
    instance,
    retiring: false,
    init_us,
    memory_bytes: 0,
    batch_limit: 1,
    idle_since_ms: performance.now(),
    counts_as_crash: true,
  }
  instance.tuned.then(
    ({ batch_limit }) => {
      member.batch_limit = batch_limit
    },
    () => undefined,
  )
  void measureMemory(member)
  return member
}

export const measureMemory = async (member: Member): Promise<void> => {
  member.memory_bytes = (await residentBytes(member.instance.pid)) ?? member.memory_bytes
}
