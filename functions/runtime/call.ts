import * as z from 'zod'
import { PlatformCall, ProbeEvent } from '../../layers/core/contract/model-function.ts'

/** What a function URL hands over: payload format 2.0. */
const UrlEvent = z.object({
  rawPath: z.string(),
  headers: z.record(z.string(), z.string()),
  requestContext: z.object({
    requestId: z.string(),
    http: z.object({ method: z.string(), sourceIp: z.string().default('') }),
  }),
  body: z.string().optional(),
  isBase64Encoded: z.boolean().default(false),
})

export interface ModelRequest {
  method: string
  /** What follows the endpoint: `` or `/v2/…`. */
  path: string
  /** Lower-case names. */
  headers: Record<string, string>
  body: Buffer
  request_id: string
  source_ip: string
  /** The platform asks by direct invocation, and has verified the caller. */
  from_platform: boolean
}

/** A request, or `probe`. Throws where the event is neither: only somebody who may invoke the function directly can send one. */
export const readCall = (event: unknown): ModelRequest | 'probe' => {
  if (ProbeEvent.safeParse(event).success) return 'probe'
  const { rawPath, headers, requestContext, body, isBase64Encoded } = UrlEvent.parse(event)
  return {
    method: requestContext.http.method,
    path: rawPath === '/' ? '' : rawPath,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    body: Buffer.from(body ?? '', isBase64Encoded ? 'base64' : 'utf8'),
    request_id: requestContext.requestId,
    source_ip: requestContext.http.sourceIp,
    from_platform: PlatformCall.safeParse(event).success,
  }
}
