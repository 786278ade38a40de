import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** A function as its host knows it. Replace the object to change it: environments of the old one end with their current call. */
export interface LambdaFunction {
  /** Holds `<file>.mjs`. */
  folder: string
  /** `<file>.<export>` */
  handler: string
  environment: Record<string, string>
  timeout_s: number
  memory_mb: number
}

export interface Invocation {
  id: string
  name: string
  event: unknown
  /** The answer of the function begins to arrive; `ended` hears of its end. */
  answered(reply: IncomingMessage): void
  /** The function failed before it answered. `type` as Lambda's `X-Amz-Function-Error`, e.g. `Unhandled`. */
  failed(error: { errorType: string; errorMessage: string }): void
}

interface Environment {
  id: string
  name: string
  made_of: LambdaFunction
  child: ChildProcess
  tmp: string
  /** Its long poll for the next invocation. */
  poll?: ServerResponse | undefined
  current?: Invocation | undefined
  timer?: NodeJS.Timeout | undefined
  used_ms: number
  dead: boolean
}

export interface Environments {
  offer(invocation: Invocation): void
  logs(name: string): string[]
  count(name: string): number
  /** Ends the idle environments of a function: SIGTERM, then SIGKILL after half a second. */
  recycle(name: string): Promise<void>
  stop(): Promise<void>
}

const kept_idle = 8
const bootstrap = join(import.meta.dirname, 'lambda-bootstrap.ts')

/** Hosts functions as Lambda does: one process per environment and one call at a time in it, over the Runtime API. */
export const startEnvironments = async (functions: ReadonlyMap<string, LambdaFunction>, most: number): Promise<Environments> => {
  const environments = new Map<string, Environment>()
  const waiting: Invocation[] = []
  const said = new Map<string, string[]>()
  let next_id = 0
  let stopped = false

  const note = (name: string, text: string): void => {
    const lines = said.get(name) ?? []
    said.set(name, lines)
    lines.push(...text.split('\n').filter((line) => line !== ''))
  }

  const end = async (environment: Environment, graceful: boolean): Promise<void> => {
    environment.dead = true
    clearTimeout(environment.timer)
    environments.delete(environment.id)
    const { child } = environment
    const kill = (signal: NodeJS.Signals): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal)
      } catch {
        // It is gone already.
      }
    }
    const gone = child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : once(child, 'exit')
    if (graceful) child.kill('SIGTERM')
    const timer = setTimeout(() => kill('SIGKILL'), graceful ? 500 : 0)
    await gone
    clearTimeout(timer)
    // Model processes are in the same group.
    kill('SIGKILL')
    rmSync(environment.tmp, { recursive: true, force: true })
  }

  const start = (name: string, made_of: LambdaFunction): void => {
    const id = `e${next_id++}`
    const tmp = mkdtempSync(join(tmpdir(), 'lambda-env-'))
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', bootstrap], {
      cwd: made_of.folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...{ PATH: '/usr/bin:/bin', LANG: 'en_US.UTF-8', TZ: ':UTC', TMPDIR: tmp, LAMBDA_TASK_ROOT: made_of.folder },
        ...{ AWS_LAMBDA_FUNCTION_NAME: name, AWS_LAMBDA_FUNCTION_VERSION: '1', AWS_REGION: 'us-east-1' },
        ...{ AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(made_of.memory_mb), AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand' },
        ...{ AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test-secret-of-the-role', AWS_SESSION_TOKEN: 'session' },
        ...made_of.environment,
        AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${(server.address() as AddressInfo).port}/${id}`,
        _HANDLER: made_of.handler,
      },
    })
    const environment: Environment = { id, name, made_of, child, tmp, used_ms: performance.now(), dead: false }
    environments.set(id, environment)
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => note(name, text.toString()))
    child.once('exit', (code, signal) => {
      if (environment.dead) return
      fail(environment, { errorType: 'Runtime.ExitError', errorMessage: `exited with ${signal ?? code}` })
      void end(environment, false).then(feed)
    })
  }

  const fail = (environment: Environment, error: { errorType: string; errorMessage: string }): void => {
    const { current } = environment
    environment.current = undefined
    clearTimeout(environment.timer)
    current?.failed(error)
  }

  const give = (environment: Environment, invocation: Invocation): void => {
    const { poll, made_of } = environment
    environment.poll = undefined
    environment.current = invocation
    environment.used_ms = performance.now()
    environment.timer = setTimeout(() => {
      note(environment.name, `${invocation.id} Task timed out after ${made_of.timeout_s.toFixed(2)} seconds`)
      fail(environment, {
        errorType: 'Sandbox.Timedout',
        errorMessage: `RequestId: ${invocation.id} Error: Task timed out after ${made_of.timeout_s.toFixed(2)} seconds`,
      })
      void end(environment, false).then(feed)
    }, made_of.timeout_s * 1000)
    poll?.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': invocation.id,
      'lambda-runtime-deadline-ms': String(Date.now() + made_of.timeout_s * 1000),
      'lambda-runtime-invoked-function-arn': `arn:aws:lambda:us-east-1:000000000000:function:${invocation.name}`,
    })
    poll?.end(JSON.stringify(invocation.event))
  }

  /** Gives waiting calls to idle environments; starts one for each call that finds none, up to the limit. */
  const feed = (): void => {
    if (stopped) return
    const all = () => [...environments.values()]
    for (const environment of all())
      if (environment.poll && environment.made_of !== functions.get(environment.name)) void end(environment, true)
    for (const invocation of [...waiting]) {
      const idle = all().find(({ name, poll, dead }) => name === invocation.name && poll && !dead)
      if (idle) {
        waiting.splice(waiting.indexOf(invocation), 1)
        give(idle, invocation)
      }
    }
    const idle = all()
      .filter(({ poll }) => poll)
      .sort((a, b) => a.used_ms - b.used_ms)
    for (const [at, environment] of idle.entries())
      if (idle.length - at > kept_idle || (waiting.length > 0 && environments.size >= most)) void end(environment, true)
    for (const name of new Set(waiting.map((invocation) => invocation.name))) {
      const made_of = functions.get(name)
      const starting = all().filter(
        (each) => each.name === name && !each.poll && !each.current && each.made_of === made_of,
      ).length
      const wanted = waiting.filter((invocation) => invocation.name === name).length - starting
      for (let more = wanted; made_of && more > 0 && environments.size < most; more--) start(name, made_of)
    }
  }

  const report = async (environment: Environment, request: IncomingMessage): Promise<void> => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    const { errorType = 'Error', errorMessage = '' } = JSON.parse(Buffer.concat(pieces).toString())
    fail(environment, { errorType, errorMessage })
  }

  const receive = async (
    environment: Environment,
    path: string,
    request: IncomingMessage,
    reply: ServerResponse,
  ): Promise<void> => {
    if (path.endsWith('/invocation/next')) {
      environment.poll = reply
      feed()
      return
    }
    if (path.endsWith('/init/error')) {
      // The call that started this environment waits in the queue; Lambda answers it with the failure.
      const at = waiting.findIndex(({ name }) => name === environment.name)
      environment.current ??= at < 0 ? undefined : waiting.splice(at, 1)[0]
      await report(environment, request)
    } else if (path.endsWith('/error')) await report(environment, request)
    else {
      const { current } = environment
      current?.answered(request)
      await once(request, 'close')
      clearTimeout(environment.timer)
      environment.current = undefined
    }
    reply.writeHead(202).end('{}')
  }

  const server = createServer((request, reply) => {
    const [, id = '', ...rest] = (request.url ?? '').split('/')
    const environment = environments.get(id)
    if (environment === undefined) reply.writeHead(410).end()
    else receive(environment, `/${rest.join('/')}`, request, reply).catch(() => reply.destroy())
  })
  server.requestTimeout = 0
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    offer: (invocation) => {
      waiting.push(invocation)
      feed()
    },
    logs: (name) => said.get(name) ?? [],
    count: (name) => [...environments.values()].filter((each) => each.name === name).length,
    recycle: async (name) => {
      const all = [...environments.values()].filter((each) => each.name === name)
      // Its last call may still be about to ask for the next one.
      for (let look = 0; look < 200 && all.some(({ poll, dead }) => !poll && !dead); look++) await pause(20)
      await Promise.all(all.filter(({ poll }) => poll).map((environment) => end(environment, true)))
    },
    stop: async () => {
      stopped = true
      await Promise.all([...environments.values()].map((environment) => end(environment, true)))
      server.closeAllConnections()
      server.close()
    },
  }
}
