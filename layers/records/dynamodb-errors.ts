import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'

/** What the SDK throws, as far as it matters here. */
const AwsError = z.object({
  name: z.string(),
  message: z.string().optional(),
  CancellationReasons: z.array(z.object({ Code: z.string().optional() })).optional(),
  $metadata: z.object({ httpStatusCode: z.number().optional() }).optional(),
  $retryable: z.object({ throttling: z.boolean().optional() }).optional(),
})

const parsed = (error: unknown) => AwsError.safeParse(error).data

/** Positions of the operations whose condition did not hold; undefined when the error is another one. */
export const failedChecks = (error: unknown): number[] | undefined => {
  const found = parsed(error)
  if (found?.name === 'ConditionalCheckFailedException') return [0]
  const failed = (found?.CancellationReasons ?? []).flatMap(({ Code }, at) => (Code === 'ConditionalCheckFailed' ? [at] : []))
  return failed.length > 0 ? failed : undefined
}

const passing = new Set([
  'ProvisionedThroughputExceededException',
  'ThrottlingException',
  'RequestLimitExceeded',
  'TransactionConflictException',
  'TransactionInProgressException',
])
const passing_reasons = new Set(['TransactionConflict', 'ThrottlingError', 'ProvisionedThroughputExceeded'])

/** Refused without effect, for a reason that passes. */
export const isRefusedForNow = (error: unknown): boolean => {
  const found = parsed(error)
  if (!found) return false
  return (
    passing.has(found.name) ||
    (found.CancellationReasons ?? []).some(({ Code }) => Code !== undefined && passing_reasons.has(Code))
  )
}

/** A single try that may have had its effect all the same: no answer came, or a 5xx. What was refused has none. */
const leavesDoubt = (error: unknown): boolean => {
  if (failedChecks(error) || isRefusedForNow(error)) return false
  const status = parsed(error)?.$metadata?.httpStatusCode
  return status === undefined || status >= 500
}

/** Where a middleware sees each try of a command, the SDK's own repeats included. `override`: the document client adds it once more. */
export const everyTry = { step: 'finalizeRequest', priority: 'low', name: 'doubts', override: true } as const

/** Remembers whether any try of a write ended without telling whether it had its effect. */
export const doubts = () => {
  let is_left = false
  const note =
    <Args, Answer>(next: (args: Args) => Promise<Answer>) =>
    async (args: Args): Promise<Answer> => {
      try {
        return await next(args)
      } catch (error) {
        is_left ||= leavesDoubt(error)
        throw error
      }
    }
  return { note, is_left: () => is_left }
}

/** Ours, with the cause kept: busy or unreachable is `unavailable`, everything else a fault of the platform's own. */
export const foreign = (cause: unknown): unknown => {
  if (cause instanceof PlatformError) return cause
  const found = parsed(cause)
  const status = found?.$metadata?.httpStatusCode
  if (isRefusedForNow(cause) || found?.$retryable || status === undefined || status >= 500)
    return new PlatformError('unavailable', 'The records are busy or cannot be reached', { cause, retry_after_s: 1 })
  return new PlatformError('internal', `DynamoDB refused the request with ${found?.name ?? 'an unknown error'}`, { cause })
}
