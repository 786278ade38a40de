import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'

const AwsError = z.object({
  name: z.string(),
  $fault: z.string().optional(),
  $metadata: z.object({ httpStatusCode: z.number().optional(), attempts: z.number().optional() }).optional(),
})
const parsed = (error: unknown) => AwsError.safeParse(error).data

export const isAbsent = (error: unknown): boolean => {
  const name = parsed(error)?.name
  return name === 'NoSuchKey' || name === 'NotFound'
}

export const isUnknownUpload = (error: unknown): boolean => ['NoSuchUpload', 'NoSuchKey'].includes(parsed(error)?.name ?? '')

/** The SDK sent the request more than once, so an earlier try may have had its effect unheard. */
export const wasRepeated = (error: unknown): boolean => (parsed(error)?.$metadata?.attempts ?? 1) > 1

export const isWrongPart = (error: unknown): boolean =>
  ['InvalidPart', 'InvalidPartOrder', 'EntityTooSmall'].includes(parsed(error)?.name ?? '')

const busy = new Set(['SlowDown', 'ServiceUnavailable', 'RequestTimeout', 'InternalError'])

/** Ours, with the cause kept. Errors that are not the SDK's (a caller's stream that broke) pass through. */
export const bucketError = (cause: unknown): unknown => {
  if (cause instanceof PlatformError) return cause
  const found = parsed(cause)
  const status = found?.$metadata?.httpStatusCode
  if (found && (busy.has(found.name) || (status ?? 0) >= 500 || isUnreachable(cause)))
    return new PlatformError('unavailable', 'The artifacts are busy or cannot be reached', { cause, retry_after_s: 1 })
  if (found?.$fault !== undefined) return new PlatformError('internal', `S3 refused the request with ${found.name}`, { cause })
  return cause
}

const Unreachable = z.object({ code: z.enum(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'ETIMEDOUT', 'EPIPE', 'EAI_AGAIN']) })
const isUnreachable = (error: unknown): boolean => Unreachable.safeParse(error).success || parsed(error)?.name === 'TimeoutError'
