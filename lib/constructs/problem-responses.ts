import { GatewayResponse, ResponseType, type RestApi } from 'aws-cdk-lib/aws-apigateway'
import type { Stage } from '../stage.ts'

const answers: readonly [id: string, type: ResponseType, status: number, code: string, title: string, detail: string][] = [
  [
    'too-large',
    ResponseType.REQUEST_TOO_LARGE,
    413,
    'use_upload_parts',
    'Use upload in parts',
    'The body exceeds what the gateway takes; announce an upload in parts with POST /models as JSON',
  ],
  ['throttled', ResponseType.THROTTLED, 429, 'rate_limited', 'Too many requests', 'The rate limit of this API is reached'],
  ['missing', ResponseType.MISSING_AUTHENTICATION_TOKEN, 404, 'not_found', 'Not found', 'There is no such path'],
  [
    'unproven',
    ResponseType.UNAUTHORIZED,
    401,
    'unauthenticated',
    'Authentication failed',
    'The call carries no valid token or key',
  ],
  [
    'denied',
    ResponseType.ACCESS_DENIED,
    401,
    'unauthenticated',
    'Authentication failed',
    'The call carries no valid token or key',
  ],
  ['filtered', ResponseType.WAF_FILTERED, 403, 'forbidden', 'Forbidden', 'The web application firewall refused this request'],
  ['failed', ResponseType.DEFAULT_5XX, 500, 'internal', 'Internal error', 'The platform failed to answer this request'],
]

/** What the gateway refuses by itself also answers as a problem document. */
export const problemResponses = (api: RestApi, { corsOrigins }: Stage): void => {
  // A static header names one origin or all; nothing here depends on cookies, so all is no risk where several are allowed.
  const origin = corsOrigins.length === 1 ? corsOrigins[0] : '*'
  for (const [id, type, status, code, title, detail] of answers)
    new GatewayResponse(api, id, {
      restApi: api,
      type,
      statusCode: String(status),
      responseHeaders: {
        'content-type': "'application/problem+json'",
        ...(corsOrigins.length > 0 && { 'access-control-allow-origin': `'${origin}'` }),
      },
      templates: {
        'application/json': JSON.stringify({
          type: 'about:blank',
          title,
          status,
          detail,
          code,
          errors: [],
          request_id: '$context.requestId',
        }),
      },
    })
}
