import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const root = join(import.meta.dirname, '../..')
const longest_life_ms = 600_000

export interface Answer {
  status: number
  headers: Headers
  body: unknown
}

export interface Platform {
  url: string
  home: string
  password: string
  /** Everything the host printed so far. */
  output(): string
  process: ChildProcess
  /** Signs in as `admin` and calls with that token; JSON in and out. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  token(): Promise<string>
  upload(path: string, bytes: Uint8Array, fields?: Record<string, string>): Promise<Answer>
  /** Everything that lies in the records, as text. */
  stored(): Promise<string>
  /** SIGTERM and wait; answers the exit code. The data folder stays until `remove`. */
  stop(): Promise<number | null>
  kill(): Promise<void>
  remove(): Promise<void>
}

/** How long a new role or a revoked key may go unseen: on one machine there is one process, which made the change. */
export const access_settles_ms: number = 0

/** The real embedded host in a process of its own, on a free port, with a data folder of its own unless one is given. */
export const startPlatform = async (
  options: { home?: string; env?: Record<string, string>; password?: string } = {},
): Promise<Platform> => {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), 'aideploy-test-')))
  const password = options.password ?? 'correct horse battery'
  const env = { PATH: process.env.PATH ?? '', PORT: '0', AIDEPLOY_HOME: home, AIDEPLOY_ADMIN_PASSWORD: password, ...options.env }
  const child = spawn(join(root, 'node_modules/.bin/node'), ['--conditions=embedded', join(root, 'bin/local.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const life = setTimeout(() => child.kill('SIGKILL'), longest_life_ms).unref()
  const printed: string[] = []
  child.stderr.on('data', (text) => printed.push(String(text)))
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const ready = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      printed.push(`${line}\n`)
      const url = line.match(/^ready (\S+)$/)?.[1]
      if (url) resolve(url)
    })
    exited.then((code) => reject(new Error(`the host stopped with ${code}: ${printed.join('')}`)))
  })
  const url = await ready
  const gone = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal)
    clearTimeout(life)
    return exited
  }
  let known: string | undefined
  const token = async (): Promise<string> => {
    if (known === undefined) {
      const reply = await fetch(`${url}/auth/token`, {
        method: 'POST',
        headers: json,
        body: JSON.stringify({ username: 'admin', password }),
      })
      const { token: issued }: { token?: string } = JSON.parse(await reply.text())
      if (issued === undefined) throw new Error(`sign-in answered ${reply.status}`)
      known = issued
    }
    return known
  }
  const send = async (path: string, init: RequestInit): Promise<Answer> => {
    const reply = await fetch(`${url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${await token()}`, ...init.headers },
    })
    const text = await reply.text()
    return {
      status: reply.status,
      headers: reply.headers,
      body: /json/.test(reply.headers.get('content-type') ?? '') ? JSON.parse(text) : text,
    }
  }
  return {
    url,
    home,
    password,
    output: () => printed.join(''),
    process: child,
    token,
    call: (method, path, body, headers = {}) =>
      send(path, {
        method,
        headers: { ...(body === undefined ? {} : json), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    upload: (path, bytes, fields = {}) => {
      const form = new FormData()
      for (const [name, value] of Object.entries({ name: 'model', framework: 'onnx', version: '1.0', ...fields }))
        form.set(name, value)
      form.set('file', new Blob([new Uint8Array(bytes)]), path)
      return send('/models', { method: 'POST', body: form })
    },
    stored: async () => {
      const files = ['records.sqlite', 'records.sqlite-wal'].map((file) => readFile(join(home, file), 'latin1'))
      return (await Promise.all(files)).join('\n')
    },
    stop: () => gone('SIGTERM'),
    kill: async () => void (await gone('SIGKILL')),
    remove: () => rm(home, { recursive: true, force: true }),
  }
}

const json = { 'content-type': 'application/json' }

/** Lines that no caller's mistake may cause: what was thrown and not foreseen. */
export const faults = (platform: Platform): string[] =>
  platform
    .output()
    .split('\n')
    .filter((line) => /unhandled rejection|listener failed|"status":500|"level":"error".*"code":"internal"|^\s+at /.test(line))

/** Asks again until `done` or the time is over; answers the last thing seen. */
export const eventually = async <Thing>(
  read: () => Promise<Thing>,
  done: (thing: Thing) => boolean,
  within_ms = 20_000,
): Promise<Thing> => {
  const end = Date.now() + within_ms
  for (;;) {
    const thing = await read()
    if (done(thing) || Date.now() > end) return thing
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
