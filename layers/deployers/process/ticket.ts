import { PlatformError } from '../../core/contract/errors.ts'
import type { ModelCall, ModelReply } from './instance.ts'
import type { Member } from './member.ts'

/** A call on its way through a pool. Settles once. */
export interface Ticket {
  call: ModelCall
  /** Times it was given to a process. */
  attempts: number
  deadline_ms: number
  member: Member | undefined
  cancelSent: (() => void) | undefined
  settled: boolean
  resolve(answer: PoolAnswer): void
  reject(error: PlatformError): void
}

export interface PoolAnswer {
  reply: ModelReply
  cold: boolean
  init_us: number
  memory_bytes: number
}

/** Makes a ticket; `left` hears when it settles, `signal` abandons it. */
export const makeTicket = (
  call: ModelCall,
  timeout_ms: number,
  signal: AbortSignal | undefined,
  left: (ticket: Ticket) => void,
): { ticket: Ticket; answer: Promise<PoolAnswer> } => {
  const { promise, resolve, reject } = Promise.withResolvers<PoolAnswer>()
  const abandoned = (): void => {
    ticket.cancelSent?.()
    ticket.reject(new PlatformError('unavailable', 'The caller went away before the answer'))
  }
  const settle = (): boolean => {
    if (ticket.settled) return false
    ticket.settled = true
    signal?.removeEventListener('abort', abandoned)
    left(ticket)
    return true
  }
  const ticket: Ticket = {
    call,
    attempts: 0,
    deadline_ms: performance.now() + timeout_ms,
    member: undefined,
    cancelSent: undefined,
    settled: false,
    resolve: (answer) => {
      if (settle()) resolve(answer)
    },
    reject: (error) => {
      if (settle()) reject(error)
    },
  }
  if (signal?.aborted) abandoned()
  else signal?.addEventListener('abort', abandoned, { once: true })
  return { ticket, answer: promise }
}
