import { type ChildProcess, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { ServingFault } from './fault.ts'
import { blankHeader, type Frame, frameReader, frameWriter, kinds, messageJoiner, whole } from './frames.ts'
import type { ModelFacts, ModelOptions, Tuning } from './model-server.ts'
import { type Routed, routeProtocol } from './protocol-paths.ts'

export interface InstanceRequest {
  method: string
  /** What follows the endpoint, percent-encoded: `` or `/v2/…`. */
  path: string
  /** Lower-case names. */
  headers: Readonly<Record<string, string | undefined>>
  /** In pieces, so that a long body need not be joined here. */
  body: readonly Uint8Array[]
}

export interface InstanceReply {
  status: number
  headers: Record<string, string>
  /** In pieces. */
  body: readonly Uint8Array[]
  usage: { compute_us: number; cpu_us: number; batch_size: number }
}

/** A model process, seen from its parent. */
export interface Instance {
  readonly pid: number
  /** The runtime is in memory; rejects when the process dies before. */
  readonly loaded: Promise<void>
  /** False from the moment it died. */
  readonly alive: boolean
  /** Why it died. */
  readonly exited: Promise<string>
  readonly in_flight: number
  /** `performance.now()` of the last sign of progress: an answer, or the first call after idleness. */
  readonly progress_at: number
  /** Opens the model and runs it once on made-up input. Fails with the model's fault. */
  open(options: ModelOptions): Promise<ModelFacts>
  readonly tuned: Promise<Tuning>
  /** Calls back once, in any order; with an Error when the process died first. */
  call(request: InstanceRequest, done: (error: Error | undefined, reply: InstanceReply | undefined) => void): { cancel(): void }
  /** What it kept of its inputs, as a file; undefined where it keeps none, has nothing new, or died. */
  sample(): Promise<readonly Uint8Array[] | undefined>
  /** SIGKILL: nothing else stops a model that computes. */
  kill(reason: string): void
}

interface Waiting {
  done: (error: Error | undefined, reply: InstanceReply | undefined) => void
}

const json = { 'content-type': 'application/json' }
const noUsage = { compute_us: 0, cpu_us: 0, batch_size: 0 }

/** `Inference-Header-Content-Length` as a number; undefined without it, an error text when it is none. */
const jsonBytes = (text: string | undefined): number | undefined | string => {
  if (text === undefined) return undefined
  return /^\d{1,12}$/.test(text)
    ? Number(text)
    : `Inference-Header-Content-Length: wanted a byte count, got '${text.slice(0, 40)}'`
}

const replyOf = (frame: Frame, body: readonly Uint8Array[]): InstanceReply => ({
  status: frame.status,
  headers:
    frame.json_bytes === undefined
      ? json
      : { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(frame.json_bytes) },
  body,
  usage: { compute_us: frame.compute_us, cpu_us: frame.cpu_us, batch_size: frame.batch_size },
})

/** The line of a crash report that names the error, else the last one. */
const lastWords = (said: string): string => {
  const lines = said.trim().split('\n')
  return (lines.find((line) => /^\S*(Error|Fault)\b|terminate called|what\(\):/.test(line)) ?? lines.at(-1) ?? '').slice(0, 200)
}

const launch = (cwd: string): { child: ChildProcess; socket: Socket } => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./main.ts', import.meta.url))], {
    cwd,
    env: {},
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  })
  const channel = child.stdio[3]
  if (!(channel instanceof Socket))
    throw new ServingFault(503, 'deployment_unavailable', 'the model process could not be started')
  return { child, socket: channel }
}

const faultOf = (status: number, body: Buffer): ServingFault => {
  const told: unknown = JSON.parse(body.toString())
  const member = (name: string): string =>
    typeof told === 'object' && told !== null && name in told ? String(Reflect.get(told, name)) : 'model_error'
  return new ServingFault(status, member('code'), member('error'))
}

/** Starts a model process: the runtime loads at once, the model when `open` says which. `cwd` should be an empty folder. */
export const startInstance = (cwd: string): Instance => {
  const { child, socket } = launch(cwd)
  // The process reads nothing while it computes: calls that arrive meanwhile leave together when it answers, at 32 connections
  // eleven in one system call, and are one batch there.
  let computing = 0
  const writer = frameWriter(socket, {
    holds: () => computing > 0,
    left: () => {
      computing = waiting.size
    },
  })
  const joined = messageJoiner()
  const waiting = new Map<number, Waiting>()
  const loaded = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<ModelFacts>()
  const tuned = Promise.withResolvers<Tuning>()
  const exited = Promise.withResolvers<string>()
  for (const { promise } of [loaded, opened, tuned]) promise.catch(() => undefined)
  let facts: ModelFacts | undefined
  let known_place = ''
  let known_route: Routed | undefined
  let killed_for: string | undefined
  let dead: Error | undefined
  let said = ''
  let next_id = 1
  let progress_at = performance.now()

  const bury = (how: string): void => {
    if (dead) return
    dead = new ServingFault(502, 'model_crashed', `the model process died: ${how}`)
    for (const { reject } of [loaded, opened, tuned]) reject(dead)
    const unanswered = [...waiting.values()]
    waiting.clear()
    for (const { done } of unanswered) done(dead, undefined)
    socket.destroy()
    exited.resolve(how)
  }
  child.once('error', (error) => bury(error.message))
  child.once('exit', (code, signal) =>
    bury(killed_for ?? `${signal ?? `exit code ${code}`}${said ? ` (${lastWords(said)})` : ''}`),
  )
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000)
  })
  socket.on('error', () => child.kill('SIGKILL'))
  // The kernel should take a model process before the platform when memory runs out. Linux only.
  if (child.pid) writeFile(`/proc/${child.pid}/oom_score_adj`, '1000').catch(() => undefined)

  const receive = (frame: Frame): void => {
    const pieces = joined(frame)
    if (frame.kind === kinds.reply) progress_at = performance.now()
    if (!pieces) return
    if (frame.kind === kinds.reply) {
      const { done } = waiting.get(frame.id) ?? {}
      waiting.delete(frame.id)
      computing -= 1
      writer.release()
      done?.(undefined, replyOf(frame, pieces))
    } else if (frame.kind === kinds.loaded) loaded.resolve()
    else if (frame.kind === kinds.tuned) tuned.resolve(JSON.parse(whole(pieces).toString()))
    else if (frame.kind === kinds.opened && frame.status === 200) {
      facts = JSON.parse(whole(pieces).toString())
      opened.resolve(JSON.parse(whole(pieces).toString()))
    } else if (frame.kind === kinds.opened) opened.reject(faultOf(frame.status, whole(pieces)))
  }
  const read = frameReader(receive)
  socket.on('data', (chunk: Buffer) => {
    try {
      read(chunk)
    } catch (error) {
      killed_for = `it broke the frame format (${String(error)})`
      child.kill('SIGKILL')
    }
  })

  const send = (
    kind: number,
    request: InstanceRequest,
    json_bytes: number | undefined,
    done: Waiting['done'],
  ): { cancel(): void } => {
    if (waiting.size === 0) progress_at = performance.now()
    const id = next_id
    next_id = next_id === 0xffff_fffe ? 1 : next_id + 1
    waiting.set(id, { done })
    writer.send(id, { ...blankHeader, kind, json_bytes }, request.body)
    return {
      cancel: () => {
        if (!waiting.delete(id)) return
        writer.send(id, { ...blankHeader, kind: kinds.cancel }, [])
        writer.release()
      },
    }
  }
  const nothing = { cancel: () => undefined }
  const asking: InstanceRequest = { method: 'GET', path: '', headers: {}, body: [] }

  return {
    pid: child.pid ?? 0,
    loaded: loaded.promise,
    exited: exited.promise,
    tuned: tuned.promise,
    get alive() {
      return dead === undefined
    },
    get in_flight() {
      return waiting.size
    },
    get progress_at() {
      return progress_at
    },
    open: (options) => {
      progress_at = performance.now()
      if (!dead) writer.send(0, { ...blankHeader, kind: kinds.open }, [Buffer.from(JSON.stringify(options))])
      return opened.promise
    },
    call: (request, done) => {
      if (dead || !facts) {
        done(dead ?? new ServingFault(503, 'deployment_unavailable', 'the model process has no model yet'), undefined)
        return nothing
      }
      const place = `${request.method} ${request.path}`
      const routed = place === known_place && known_route ? known_route : routeProtocol(facts, request.method, request.path)
      known_place = place
      known_route = routed
      const json_bytes = jsonBytes(request.headers['inference-header-content-length'])
      if (routed.kind === 'answer' || typeof json_bytes === 'string') {
        const body =
          routed.kind === 'answer' ? routed.body : Buffer.from(JSON.stringify({ error: json_bytes, code: 'bad_request' }))
        done(undefined, { status: routed.kind === 'answer' ? routed.status : 400, headers: json, body: [body], usage: noUsage })
        return nothing
      }
      return send(routed.form === 'bare' ? kinds.infer_bare : kinds.infer_protocol, request, json_bytes, done)
    },
    sample: () =>
      new Promise((resolve) => {
        if (dead || !facts) resolve(undefined)
        else send(kinds.sample, asking, undefined, (_, reply) => resolve(reply?.status === 200 ? reply.body : undefined))
      }),
    kill: (reason) => {
      killed_for ??= reason
      child.kill('SIGKILL')
    },
  }
}
