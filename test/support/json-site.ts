import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a path answers: a value as JSON, or whatever the function does with the response. */
export type Page = (() => unknown) | { raw: (request: IncomingMessage, response: ServerResponse) => void }

export interface JsonSite {
  url: string
  pages: Map<string, Page>
  /** How often each path was asked for. */
  reads: Map<string, number>
  stop(): Promise<void>
}

/** A site of JSON documents on loopback, whose pages a test may replace at any time; 404 for the rest. */
export const startJsonSite = async (pages: Record<string, Page> = {}): Promise<JsonSite> => {
  const known = new Map(Object.entries(pages))
  const reads = new Map<string, number>()
  const server = createServer(async (request, response) => {
    const path = request.url ?? ''
    reads.set(path, (reads.get(path) ?? 0) + 1)
    const page = known.get(path)
    if (page === undefined) response.writeHead(404).end()
    else if ('raw' in page) page.raw(request, response)
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(await page()))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pages: known,
    reads,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
