/**
 * The one error of the platform and the one table that gives every code its HTTP status.
 * Adapters translate foreign errors into it and keep `cause`; `functions/entry` is the only place that renders it.
 */

const table = {
  bad_request: [400, 'Bad request'],
  malformed_body: [400, 'Malformed body'],
  upload_incomplete: [400, 'Upload incomplete'],
  unauthenticated: [401, 'Authentication failed'],
  token_expired: [401, 'Token expired'],
  forbidden: [403, 'Forbidden'],
  policy_denied: [403, 'Denied by the key policy'],
  not_found: [404, 'Not found'],
  method_not_allowed: [405, 'Method not allowed'],
  conflict: [409, 'Conflict'],
  version_conflict: [409, 'Changed by someone else'],
  illegal_transition: [409, 'Not possible in this state'],
  model_in_use: [409, 'Model is in use'],
  cancelled: [409, 'Cancelled'],
  not_optimized: [409, 'No completed optimisation'],
  idempotency_conflict: [409, 'First request still in progress'],
  payload_too_large: [413, 'Payload too large'],
  use_upload_parts: [413, 'Use upload in parts'],
  unsupported_media_type: [415, 'Unsupported media type'],
  invalid_request: [422, 'Invalid request'],
  invalid_model: [422, 'Not a usable model'],
  framework_unsupported: [422, 'Framework not supported here'],
  unavailable_here: [422, 'Not available here'],
  idempotency_mismatch: [422, 'Idempotency key reused with another payload'],
  rate_limited: [429, 'Too many requests'],
  overloaded: [429, 'Deployment is saturated'],
  header_too_large: [431, 'Headers too large'],
  internal: [500, 'Internal error'],
  port_unavailable: [501, 'Not available in this composition'],
  model_crashed: [502, 'Model process died'],
  model_error: [422, 'Model could not run this input'],
  deployment_waking: [503, 'Deployment is waking'],
  deployment_unavailable: [503, 'Deployment is not available'],
  storage_full: [507, 'Storage is full'],
  unavailable: [503, 'Temporarily unavailable'],
  work_pending: [503, 'Work goes on elsewhere'],
  timeout: [504, 'Timed out'],
} as const satisfies Record<string, readonly [status: number, title: string]>

export type ErrorCode = keyof typeof table

/** Every code with its status and title, for the reference. */
export const errorTable: readonly { code: string; status: number; title: string }[] = Object.entries(table).map(
  ([code, [status, title]]) => ({ code, status, title }),
)

/** One thing wrong with a request: a JSON pointer into the body (or `query/name`, `header/name`) and what was wrong, got, wanted. */
export interface FieldError {
  pointer: string
  detail: string
}

export interface ErrorExtras {
  errors?: FieldError[]
  /** Seconds after which a repeat makes sense; rendered as `Retry-After`. */
  retry_after_s?: number
  /** Methods that are known where the one sent is not; rendered as `Allow`. */
  allow?: readonly string[]
  /** Further public members of the problem document, e.g. `{ state: 'hibernated' }` or `{ available: ['serverless'] }`. */
  facts?: Record<string, unknown>
  cause?: unknown
}

export class PlatformError extends Error {
  readonly code: ErrorCode
  readonly extras: ErrorExtras

  constructor(code: ErrorCode, detail: string, extras: ErrorExtras = {}) {
    super(detail, { cause: extras.cause })
    this.name = 'PlatformError'
    this.code = code
    this.extras = extras
  }

  get status(): number {
    return table[this.code][0]
  }

  get title(): string {
    return table[this.code][1]
  }
}

export const isPlatformError = (error: unknown, code?: ErrorCode): error is PlatformError =>
  error instanceof PlatformError && (code === undefined || error.code === code)

/** Anything thrown, as a PlatformError: unknown errors become `internal` and keep their cause for the log, never for the caller. */
export const asPlatformError = (error: unknown): PlatformError =>
  error instanceof PlatformError
    ? error
    : new PlatformError('internal', 'The platform failed to answer this request', { cause: error })

/** The same answer for an unknown id and for another organisation's id, so that nobody can probe. */
export const notFound = (noun: string, id: string): PlatformError => new PlatformError('not_found', `${noun} ${id} was not found`)

/** What was thrown and what caused it, at most six deep, as text for the log; never for a caller. */
export const errorChain = (thrown: unknown): string[] => {
  const chain: string[] = []
  for (let at = thrown; at !== undefined && chain.length < 6; at = at instanceof Error ? at.cause : undefined)
    chain.push(at instanceof Error ? (at.stack ?? at.message) : String(at))
  return chain
}
