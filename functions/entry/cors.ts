/** What answers may be read by a browser application beside the body. */
const exposed = 'etag, link, location, ratelimit, ratelimit-policy, retry-after, x-request-id'

/**
 * Headers that let a browser application of an allowed origin read an answer (Fetch standard, CORS protocol); none for any other. The
 * gateway answers preflight calls by itself but passes a function's answer on as it is. Credentials are headers, never cookies, so
 * `allow-credentials` is not needed.
 */
export const corsHeaders = (
  headers: Readonly<Record<string, string | undefined>>,
  allowed: readonly string[] = [],
): Record<string, string> => {
  if (allowed.length === 0) return {}
  const origin = Object.entries(headers).find(([name]) => name.toLowerCase() === 'origin')?.[1]
  return origin === undefined || !allowed.includes(origin)
    ? { vary: 'origin' }
    : { vary: 'origin', 'access-control-allow-origin': origin, 'access-control-expose-headers': exposed }
}
