import { type ErrorCode, type ErrorExtras, isPlatformError, PlatformError } from '../core/contract/errors.ts'

/** What the AWS SDK throws: the service's error code as `name`, its HTTP status in `$metadata`. */
export const awsCode = (error: unknown): string => (error instanceof Error ? error.name : 'unknown')

export const awsStatus = (error: unknown): number | undefined => {
  const metadata: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, '$metadata') : undefined
  const status: unknown = typeof metadata === 'object' && metadata !== null ? Reflect.get(metadata, 'httpStatusCode') : undefined
  return typeof status === 'number' ? status : undefined
}

/** The service may hold when asked again: it was throttled, broken, out of reach or busy with the same resource. */
export const isPassing = (error: unknown): boolean =>
  /Throttl|TooManyRequests|RequestLimitExceeded|ServiceUnavailable|InternalServer|InternalFailure|InternalError|Timeout|ECONN|EPIPE|\bENOTFOUND\b|NetworkingError/i.test(
    `${awsCode(error)} ${error instanceof Error && 'code' in error ? String(error.code) : ''}`,
  ) || (awsStatus(error) ?? 0) >= 500

/**
 * A failed call of an AWS service as the platform's own error, `cause` kept for the log. `known` maps the service's error codes to what
 * they mean here; anything else is `unavailable` (worth repeating) where it passes, else `internal`.
 */
export const awsFailure = (
  error: unknown,
  doing: string,
  known: Record<string, readonly [code: ErrorCode, detail: string, extras?: ErrorExtras]> = {},
): PlatformError => {
  if (isPlatformError(error)) return error
  const meant = known[awsCode(error)]
  if (meant) return new PlatformError(meant[0], meant[1], { ...meant[2], cause: error })
  if (isPassing(error))
    return new PlatformError('unavailable', `${doing}: AWS did not answer in time; repeat the request`, {
      retry_after_s: 2,
      cause: error,
    })
  return new PlatformError('internal', `${doing} failed (${awsCode(error)})`, { cause: error })
}
