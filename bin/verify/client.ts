import * as z from 'zod'

/** An answer of the platform, its body parsed where it is JSON. */
export interface Answer {
  status: number
  body: unknown
  headers: Headers
  ms: number
}

export type Credentials = { token: string } | { key: string } | undefined

export interface Client {
  base_url: string
  call(
    method: string,
    path: string,
    options?: { body?: unknown; as?: Credentials; headers?: Record<string, string> },
  ): Promise<Answer>
  /** To another address than the platform's, e.g. a deployment's endpoint or a part of an upload. */
  send(url: string, init: RequestInit, as?: Credentials): Promise<Answer>
}

const Problem = z.looseObject({ detail: z.string().optional(), message: z.string().optional(), error: z.string().optional() })

/** Plain HTTP; nothing here knows how the platform works inside. A call takes 60 seconds at most. */
export const platformClient = (base_url: string): Client => {
  const send: Client['send'] = async (url, init, as) => {
    const started = performance.now()
    const reply = await fetch(url, {
      signal: AbortSignal.timeout(60_000),
      ...init,
      headers: { ...credentials(as), ...Object(init.headers) },
    })
    const text = await reply.text()
    const body: unknown = /json/.test(reply.headers.get('content-type') ?? '') && text !== '' ? JSON.parse(text) : text
    return { status: reply.status, headers: reply.headers, body, ms: performance.now() - started }
  }
  return {
    base_url,
    send,
    call: (method, path, { body, as, headers } = {}) =>
      send(
        `${base_url}${path}`,
        {
          method,
          headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        },
        as,
      ),
  }
}

const credentials = (as: Credentials): Record<string, string> => {
  if (as === undefined) return {}
  return 'token' in as ? { authorization: `Bearer ${as.token}` } : { 'x-api-key': as.key }
}

/** The body when the status is the one wanted; else an error that says what came instead. */
export const wanted = <Schema extends z.ZodType>(answer: Answer, status: number, schema: Schema): z.output<Schema> => {
  if (answer.status !== status) {
    const problem = Problem.safeParse(answer.body)
    const said = problem.success
      ? (problem.data.detail ?? problem.data.message ?? problem.data.error)
      : String(answer.body).slice(0, 200)
    throw new Error(`answered ${answer.status}, wanted ${status}: ${said}`)
  }
  const parsed = schema.safeParse(answer.body)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new Error(`answered ${status} with ${issue?.path.join('.')}: ${issue?.message}`)
}

/** Asks until `done`, with a second between; fails saying what it saw last. */
export const until = async <Thing>(
  read: () => Promise<Thing>,
  done: (thing: Thing) => boolean,
  within_s: number,
  pause_ms = 1000,
): Promise<Thing> => {
  const end = performance.now() + within_s * 1000
  for (;;) {
    const thing = await read()
    if (done(thing)) return thing
    if (performance.now() > end) throw new Error(`not within ${within_s} s; saw last ${JSON.stringify(thing).slice(0, 300)}`)
    await new Promise((resolve) => setTimeout(resolve, pause_ms))
  }
}
