import { once } from 'node:events'
import { Agent, createServer, type IncomingHttpHeaders, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Emulator } from '../support/emulators.ts'

/** A request to an AWS service as it was seen on its way, for objects of S3 with the status it was answered with. */
export interface Seen {
  /** Access key id of the signature; functions' keys bear their names. */
  caller: string
  /** As the signature's scope names it, e.g. `dynamodb`, `states`, `monitoring`. */
  service: string
  method: string
  path: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
  /** Empty for objects of S3, which pass by unread. */
  body: string
  status?: number | undefined
}

const credential = /^([^/]+)\/\d{8}\/[^/]+\/([^/]+)\/aws4_request$/

/**
 * Stands before a service's endpoint, hands everything on, and tells each signed request: before it is answered, for
 * objects of S3 when its answer begins. `elsewhere` may send a
 * request to another endpoint, by its body.
 */
export const frontOf = async (
  endpoint: string,
  tell: (seen: Seen) => void,
  elsewhere: (body: string, service: string) => string | undefined = () => undefined,
): Promise<Emulator> => {
  const agent = new Agent({ keepAlive: true })
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', endpoint)
    const signed = /Credential=([^,]+),/.exec(request.headers.authorization ?? '')?.[1]
    const [, caller = '', service = ''] = credential.exec(signed ?? url.searchParams.get('X-Amz-Credential') ?? '') ?? []
    const { expect: _, ...headers } = request.headers
    const passes = service === 's3' && !url.searchParams.has('delete')
    const body = passes ? undefined : await buffer(request)
    const { hostname, port } = new URL(elsewhere(body?.toString() ?? '', service) ?? endpoint)
    const { method = '', headers: asked } = request
    const seen = { caller, service, method, path: url.pathname, query: url.searchParams, headers: asked }
    if (service !== '' && body !== undefined) tell({ ...seen, body: body.toString() })
    const onward = send({ hostname, port, agent, method, path: request.url, headers }, (answer) => {
      if (service !== '' && body === undefined) tell({ ...seen, body: '', status: answer.statusCode })
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
      answer.on('error', () => response.destroy())
    })
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    if (body === undefined) request.pipe(onward)
    else onward.end(body)
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      agent.destroy()
    },
  }
}
