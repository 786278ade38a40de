import { PlatformError } from '../../core/contract/errors.ts'

const codes = ['invalid_model', 'model_crashed', 'deployment_unavailable', 'bad_request', 'model_error'] as const

/** A failure told by a model process (its faults carry a `code`), in the platform's words. */
export const platformError = (error: unknown): PlatformError => {
  if (error instanceof PlatformError) return error
  const detail = error instanceof Error ? error.message : String(error)
  const told: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return new PlatformError(codes.find((code) => code === told) ?? 'model_crashed', detail, { cause: error })
}
