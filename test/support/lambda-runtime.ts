import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Readable, Transform } from 'node:stream'
import { type Environments, type LambdaFunction, startEnvironments } from './lambda-environments.ts'

/** Status and headers that an HTTP-integrated function sent before its body. */
export interface Prelude {
  statusCode?: number
  headers?: Record<string, string>
  cookies?: string[]
}

export interface StreamedAnswer {
  prelude: Prelude | undefined
  body: Readable
}

export interface LambdaHost {
  /** As `Invoke`: the whole payload, or which error the function ended with. */
  invoke(name: string, event: unknown): Promise<{ payload: Buffer; function_error?: { errorType: string; errorMessage: string } }>
  /** As `InvokeWithResponseStream`. Fails with an Error named after the function's error. */
  invokeStream(name: string, event: unknown): Promise<StreamedAnswer>
  /** Address of a function URL (auth NONE, RESPONSE_STREAM) without a trailing slash. */
  url(name: string): Promise<string>
  /** Every line the function wrote to its standard output and error. */
  logs(name: string): string[]
  /** Environments that exist now. */
  count(name: string): number
  recycle(name: string): Promise<void>
  stop(): Promise<void>
}

const httpIntegration = 'application/vnd.awslambda.http-integration-response'
const most_request_bytes = 6 * 2 ** 20

/** Hosts bundles as Lambda does. `functions` may change while it runs; `most` environments at once, further calls wait. */
export const startLambda = async ({
  functions,
  most = 12,
}: {
  functions: ReadonlyMap<string, LambdaFunction>
  most?: number
}): Promise<LambdaHost> => {
  const environments = await startEnvironments(functions, most)
  const urls = new Map<string, Promise<{ address: string; server: Server }>>()
  const invokeStream = (name: string, event: unknown) => streamed(environments, functions, name, event)
  return {
    invoke: async (name, event) => {
      try {
        const { body } = await answer(environments, functions, name, event)
        const payload = await whole(body)
        const failed = endedBadly(body)
        if (failed) throw failed
        return { payload }
      } catch (error) {
        const told = functionError(error)
        return { payload: Buffer.from(JSON.stringify(told)), function_error: told }
      }
    },
    invokeStream,
    url: async (name) => {
      const made = urls.get(name) ?? functionUrl((event) => invokeStream(name, event))
      urls.set(name, made)
      return (await made).address
    },
    logs: (name) => environments.logs(name),
    count: (name) => environments.count(name),
    recycle: (name) => environments.recycle(name),
    stop: async () => {
      for (const made of urls.values()) {
        const { server } = await made
        server.closeAllConnections()
        server.close()
      }
      await environments.stop()
    },
  }
}

class FunctionError extends Error {
  readonly told: { errorType: string; errorMessage: string }
  constructor(told: { errorType: string; errorMessage: string }) {
    super(told.errorMessage)
    this.name = told.errorType
    this.told = told
  }
}
const functionError = (error: unknown) =>
  error instanceof FunctionError ? error.told : { errorType: 'Host', errorMessage: String(error) }

/** The function's answer as it begins: content type and bytes. */
const answer = (
  environments: Environments,
  functions: ReadonlyMap<string, LambdaFunction>,
  name: string,
  event: unknown,
): Promise<{ type: string; body: IncomingMessage }> =>
  new Promise((resolve, reject) => {
    if (!functions.has(name)) {
      reject(new FunctionError({ errorType: 'ResourceNotFoundException', errorMessage: `Function not found: ${name}` }))
      return
    }
    environments.offer({
      id: randomUUID(),
      name,
      event,
      answered: (body) => resolve({ type: body.headers['content-type'] ?? '', body }),
      failed: (error) => reject(new FunctionError(error)),
    })
  })

const whole = async (body: Readable): Promise<Buffer> => {
  const pieces: Buffer[] = []
  for await (const piece of body) pieces.push(piece)
  return Buffer.concat(pieces)
}

const streamed = async (
  environments: Environments,
  functions: ReadonlyMap<string, LambdaFunction>,
  name: string,
  event: unknown,
): Promise<StreamedAnswer> => {
  const { type, body } = await answer(environments, functions, name, event)
  if (type !== httpIntegration) return { prelude: undefined, body }
  return afterPrelude(body)
}

/** What a streaming function that failed on its way says behind its last byte. */
const endedBadly = ({ trailers }: IncomingMessage): FunctionError | undefined => {
  const errorType = trailers['lambda-runtime-function-error-type']
  if (errorType === undefined) return undefined
  const told = JSON.parse(Buffer.from(trailers['lambda-runtime-function-error-body'] ?? '', 'base64').toString() || '{}')
  return new FunctionError({ errorType, errorMessage: String(told.errorMessage ?? '') })
}

/** Splits what a streaming function sends at the eight zero bytes. */
const afterPrelude = (source: IncomingMessage): Promise<StreamedAnswer> =>
  new Promise((resolve, reject) => {
    let head: Buffer | undefined = Buffer.alloc(0)
    const body = new Transform({
      transform: (piece: Buffer, _, done) => {
        if (head === undefined) {
          done(null, piece)
          return
        }
        head = Buffer.concat([head, piece])
        const at = head.indexOf(Buffer.alloc(8))
        if (at < 0) {
          done()
          return
        }
        const rest = head.subarray(at + 8)
        resolve({ prelude: JSON.parse(head.subarray(0, at).toString()), body })
        head = undefined
        done(null, rest)
      },
      flush: (done) => {
        if (head !== undefined) reject(new Error('The function ended without a prelude'))
        done(endedBadly(source))
      },
    })
    source.on('error', (error) => {
      reject(error)
      body.destroy(error)
    })
    source.on('close', () => {
      if (!source.readableEnded) body.destroy(new Error('The function was cut off'))
    })
    source.pipe(body)
  })

const isText = (type: string): boolean => /^(text\/|application\/(json|xml|javascript|x-www-form-urlencoded))/.test(type)

/** What Lambda makes of a request to a function URL: payload format 2.0. */
const urlEvent = (request: IncomingMessage, body: Buffer): object => {
  const [path = '/', query = ''] = (request.url ?? '/').split('?')
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
  const text = isText(headers['content-type'] ?? '')
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: path,
    rawQueryString: query,
    headers,
    requestContext: {
      accountId: 'anonymous',
      apiId: 'url',
      domainName: headers.host,
      requestId: randomUUID(),
      http: { method: request.method, path, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: headers['user-agent'] },
      time: new Date().toISOString(),
      timeEpoch: Date.now(),
    },
    ...(body.length > 0 && { body: text ? body.toString() : body.toString('base64') }),
    isBase64Encoded: body.length > 0 && !text,
  }
}

const functionUrl = async (invoke: (event: object) => Promise<StreamedAnswer>): Promise<{ address: string; server: Server }> => {
  const serve = async (request: IncomingMessage, reply: ServerResponse): Promise<void> => {
    const body = await whole(request)
    const event = urlEvent(request, body)
    if (Buffer.byteLength(JSON.stringify(event)) > most_request_bytes) {
      reply.writeHead(413, { 'content-type': 'application/json' }).end('{"Message":"Request must be smaller than 6291456 bytes"}')
      return
    }
    const { prelude, body: answered } = await invoke(event)
    reply.writeHead(prelude?.statusCode ?? 200, { 'content-type': 'application/octet-stream', ...prelude?.headers })
    answered.on('error', () => reply.destroy())
    answered.pipe(reply)
  }
  const server = createServer((request, reply) => {
    serve(request, reply).catch(() => {
      if (reply.headersSent) reply.destroy()
      else reply.writeHead(502, { 'content-type': 'application/json' }).end('{"Message":"Internal Server Error"}')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}
