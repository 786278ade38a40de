import { asPlatformError } from './errors.ts'
import { isFinal, isPending } from './pipelines.ts'

/** What ended a step or an execution, as `lastly` and whoever asks sees it. */
export interface PipelineFault {
  code: string
  detail: string
}

/**
 * A step's failure as its Lambda throws it. The name says what the machine does: `Final` is not repeated, `Pending` is asked again and
 * again, `Transient` is repeated as often as the row says. The message carries code and detail to `readFault`.
 */
export const writeFault = (thrown: unknown): Error => {
  const { code, message } = asPlatformError(thrown)
  const shown = new Error(JSON.stringify({ code, detail: message } satisfies PipelineFault), { cause: thrown })
  shown.name = isPending(thrown) ? 'Pending' : isFinal(thrown) ? 'Final' : 'Transient'
  return shown
}

/** What Step Functions and Lambda say of their own accord; everything else of theirs is `internal`. */
const foreign: Record<string, string> = {
  'States.Timeout': 'timeout',
  'Sandbox.Timedout': 'timeout',
  'States.HeartbeatTimeout': 'timeout',
}

/**
 * Step Functions keeps an error as two texts. A Lambda's cause is `{"errorMessage": …}`, whose message `writeFault` wrote; a service's
 * own error has a cause of its own wording, or none.
 */
export const readFault = ({ Error: name, Cause: cause = '' }: { Error?: string; Cause?: string }): PipelineFault => {
  const lambda = parsed(cause)
  const message = lambda?.errorMessage ?? cause
  const fault = typeof message === 'string' ? parsed(message) : undefined
  if (typeof fault?.code === 'string') return { code: fault.code, detail: String(fault.detail) }
  const known =
    foreign[name ?? ''] ?? foreign[String(lambda?.errorType)] ?? (/Task timed out after/.test(cause) ? 'timeout' : undefined)
  return { code: known ?? 'internal', detail: [name, String(message)].filter((part) => part).join(': ') || 'no reason was given' }
}

const parsed = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
