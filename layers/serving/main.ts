/**
 * The process that holds one model. It speaks frames over descriptor 3, serves no HTTP, and dies with its parent.
 * Started by `instance.ts`, with an empty environment and an empty working folder.
 */
import { Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { renderFault } from './fault.ts'
import { blankHeader, type Frame, frameReader, frameWriter, kinds, messageJoiner, whole } from './frames.ts'
import { type ModelOptions, type ModelServer, openModelServer } from './model-server.ts'
import { warmRuntime } from './warm-runtime.ts'

/** Read before any thread begins: on a busy machine the parent may be gone by then. */
const parent = process.ppid

/**
 * An endless model never returns to the event loop, so the closing of the socket would go unnoticed: a thread of its own watches
 * the parent and kills the process when it is gone.
 */
const watchParent = (): void => {
  const code = `setInterval(() => { if (process.ppid !== ${parent}) process.kill(process.pid, 'SIGKILL') }, 1000)`
  new Worker(code, {
    eval: true,
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2, codeRangeSizeMb: 4 },
  }).unref()
}

// Else every 64 MB of tensors bring on a full collection of the heap.
setFlagsFromString('--external-memory-accounted-in-global-limit')

const socket = new Socket({ fd: 3, readable: true, writable: true })
socket.on('close', () => process.exit(0))
socket.on('error', () => process.exit(0))
const writer = frameWriter(socket)
const joined = messageJoiner()
let server: ModelServer | undefined
const running = new Map<number, { cancel(): void }>()

const tell = (kind: number, status: number, facts: object): void =>
  writer.send(0, { ...blankHeader, kind, status }, [Buffer.from(JSON.stringify(facts))])

const open = async (payload: Buffer): Promise<void> => {
  // The parent is this module's own counterpart; the options were made by typed code there.
  const options: ModelOptions = JSON.parse(payload.toString())
  try {
    server = await openModelServer(options)
    tell(kinds.opened, 200, server.facts)
    server.tuned.then(
      (tuning) => tell(kinds.tuned, 200, tuning),
      (error: unknown) => tell(kinds.tuned, 500, { error: String(error) }),
    )
  } catch (error) {
    const { status, body } = renderFault(error)
    writer.send(0, { ...blankHeader, kind: kinds.opened, status }, [body])
  }
}

const infer = (frame: Frame, pieces: Buffer[]): void => {
  const body = whole(pieces, frame.json_bytes)
  const { id } = frame
  let answered = false
  const job = server?.infer(frame.kind === kinds.infer_bare ? 'bare' : 'protocol', body, frame.json_bytes, (answer) => {
    answered = true
    running.delete(id)
    const { compute_us, cpu_us, batch_size } = answer.usage
    writer.send(
      id,
      { kind: kinds.reply, status: answer.status, json_bytes: answer.json_bytes, compute_us, cpu_us, batch_size },
      answer.parts,
    )
  })
  if (job && !answered) running.set(id, job)
}

socket.on(
  'data',
  frameReader((frame) => {
    const pieces = joined(frame)
    if (!pieces) return
    if (frame.kind === kinds.open) void open(whole(pieces))
    else if (frame.kind === kinds.sample) {
      const sample = server?.sample()
      writer.send(frame.id, { ...blankHeader, kind: kinds.reply, status: sample ? 200 : 204 }, sample ?? [])
    } else if (frame.kind === kinds.cancel) {
      running.get(frame.id)?.cancel()
      running.delete(frame.id)
    } else infer(frame, pieces)
  }),
)

await warmRuntime()
tell(kinds.loaded, 200, {})
setTimeout(watchParent, 50)
