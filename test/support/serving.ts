import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type HttpServer, type HttpServerOptions, startHttpServer } from '../../layers/serving/http-server.ts'
import { writeModel } from './models.ts'

/** Serving cores over HTTP, one per model, closed together. */
export const servers = () => {
  const dir = mkdtempSync(join(tmpdir(), 'serving-test-'))
  const open: HttpServer[] = []
  return {
    serve: async (name: string, bytes: Uint8Array, changes: Partial<HttpServerOptions> = {}): Promise<HttpServer> => {
      const path = writeModel(join(dir, `${open.length}`, 'model.onnx'), bytes)
      const server = await startHttpServer({ model_path: path, name, ...changes })
      open.push(server)
      return server
    },
    close: async () => {
      await Promise.all(open.map((server) => server.close()))
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

export const post = async (url: string, body: unknown, headers: Record<string, string> = {}) => {
  const raw = body instanceof Uint8Array || typeof body === 'string'
  const reply = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: raw ? Buffer.from(body) : JSON.stringify(body),
  })
  const bytes = Buffer.from(await reply.arrayBuffer())
  return { status: reply.status, headers: reply.headers, bytes, text: bytes.toString() }
}
/** A request of the binary extension. */
export const binaryRequest = (head: object, blobs: readonly Uint8Array[]) => {
  const json = Buffer.from(JSON.stringify(head))
  return {
    body: Buffer.concat([json, ...blobs]),
    headers: { 'inference-header-content-length': String(json.length), 'content-type': 'application/octet-stream' },
  }
}
