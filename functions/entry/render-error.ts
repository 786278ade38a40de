import { asPlatformError, type PlatformError } from '../../layers/core/contract/errors.ts'
import type { RouteRow } from '../../layers/core/contract/route-row.ts'

export interface RenderedError {
  status: number
  headers: Record<string, string>
  body: string
}

/**
 * The one place that renders errors: RFC 9457 problem documents on the platform surface, `{"error","code"}` on inference.
 * The cause of an internal error goes to the log, never to the caller.
 */
export const renderError = (
  thrown: unknown,
  surface: RouteRow['surface'],
  context: { request_id: string; public_url: string; path: string },
): RenderedError => {
  const error = asPlatformError(thrown)
  const headers = { 'x-request-id': context.request_id, 'cache-control': 'no-store', ...headersOf(error) }
  return surface === 'open-inference'
    ? {
        status: error.status,
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify({ error: error.message, code: error.code, ...error.extras.facts }),
      }
    : {
        status: error.status,
        headers: { ...headers, 'content-type': 'application/problem+json' },
        body: JSON.stringify(problem(error, context)),
      }
}

const problem = (error: PlatformError, context: { request_id: string; public_url: string; path: string }) => ({
  ...error.extras.facts,
  type: `${context.public_url}/docs#error-${error.code}`,
  title: error.title,
  status: error.status,
  detail: error.message,
  instance: context.path,
  code: error.code,
  errors: error.extras.errors ?? [],
  request_id: context.request_id,
})

const headersOf = (error: PlatformError): Record<string, string> => ({
  ...(error.extras.retry_after_s === undefined
    ? {}
    : { 'retry-after': String(Math.max(1, Math.ceil(error.extras.retry_after_s))) }),
  ...(error.extras.allow === undefined ? {} : { allow: error.extras.allow.join(', ') }),
  ...(error.status === 401 ? { 'www-authenticate': 'Bearer realm="aideploy"' } : {}),
})
