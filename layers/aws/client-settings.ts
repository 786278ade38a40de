/**
 * How every AWS client of the platform is made: few tries with full jitter, and no call that waits for ever. A caller's own limit
 * (a request's 29 s, a step's minutes) stays above the worst case of all tries together.
 */
export const clientSettings = {
  maxAttempts: 4,
  retryMode: 'standard',
  requestHandler: { connectionTimeout: 2_000, requestTimeout: 6_000, throwOnRequestTimeout: true },
} as const
