/**
 * How every AWS client of the platform is made: few tries with full jitter, and no call that waits for ever. A caller's own limit
 * (a request's 29 s, a step's minutes) stays above the worst case of all tries together.
 */
export const clientSettings = {
  maxAttempts: 4,
  retryMode: 'standard',
  requestHandler: { connectionTimeout: 2_000, requestTimeout: 6_000, throwOnRequestTimeout: true },
} as const

/**
 * For S3. A part of a model may be on its way for a while; that nothing moves at all is noticed by the socket. Checksums only where S3
 * demands one: the SDK would give every part of an upload a CRC32 that the upload was not announced with, and S3 refuses such parts
 * ("Checksum Type mismatch"). The signature covers the body's sha256 all the same.
 */
export const transferSettings = {
  ...clientSettings,
  requestHandler: { connectionTimeout: 2_000, socketTimeout: 15_000 },
  requestChecksumCalculation: 'WHEN_REQUIRED',
} as const
