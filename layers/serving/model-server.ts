import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createBatcher, type RunUsage } from './batcher.ts'
import {
  batchIsHarmless,
  type CurvePoint,
  chooseBatchLimit,
  isFlexible,
  measureCurve,
  probe,
  type SampleShapes,
  sampleInputs,
} from './calibrate.ts'
import type { TensorFacts, WireTensor } from './datatypes.ts'
import { renderFault } from './fault.ts'
import { createRecorder, type Recorder } from './recorder.ts'
import { type EncodedReply, encodeReply } from './reply.ts'
import { type InferCall, type LayoutCache, readBare, readInfer } from './request.ts'
import { openSession } from './session.ts'

export interface ModelOptions {
  /** File whose large weights lie beside it as external data, so that the first tier can map them. */
  model_path: string
  /** What the protocol calls the model, and the one version there is. */
  name: string
  version: string
  threads: number
  /** `second_tier`: open prepacked at once. `two_tiers`: answer first, prepack when idle. `first_tier`: stay unpacked (another process takes over). */
  tier: 'first_tier' | 'two_tiers' | 'second_tier'
  /** Largest batch, 1 turns batching off. */
  max_batch: number
  /** A sample of the inputs is kept, in this process alone until it is asked for; absent: nothing is. */
  record?: { rows: number; rate?: number | undefined; max_bytes?: number | undefined } | undefined
}

export interface ModelFacts {
  name: string
  version: string
  inputs: TensorFacts[]
  outputs: TensorFacts[]
  /** Milliseconds from the order to the finished probe run. */
  open_ms: number
  /** False when no made-up input fitted the model, so that nothing was proven by running it. */
  probed: boolean
}

/** How the session was tuned after it began to answer. */
export interface Tuning {
  prepacked: boolean
  batch_limit: number
  curve: CurvePoint[]
}

export interface EncodedAnswer extends EncodedReply {
  status: number
  usage: RunUsage
}

export interface ModelServer {
  facts: ModelFacts
  /** Settles after the second tier stands and the batch limit is chosen (where callers choose sizes, that waits for the first call). */
  tuned: Promise<Tuning>
  /** Never throws: faults come as status and body. `json_bytes` as in `Inference-Header-Content-Length`. */
  infer(
    form: 'protocol' | 'bare',
    body: Uint8Array,
    json_bytes: number | undefined,
    done: (answer: EncodedAnswer) => void,
  ): { cancel(): void }
  /** The sample of inputs as a file, in pieces; undefined where none is kept or nothing came since the last one. */
  sample(): Uint8Array[] | undefined
  close(): Promise<void>
}

const nothing: RunUsage = { compute_us: 0, cpu_us: 0, batch_size: 0 }
const tuning_budget_ms = 400

/** Weights beside the model; a prepack of more than this would hold callers up for over a tenth of a second. */
const prepack_in_place_bytes = 48_000_000
const weightBytes = (model_path: string): number =>
  [model_path, join(dirname(model_path), 'weights.bin')].reduce(
    (sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0),
    0,
  )

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const recorderOf = ({ rows, rate = 1, max_bytes }: NonNullable<ModelOptions['record']>, splits: boolean): Recorder =>
  createRecorder({ rows, rate, splits, ...(max_bytes !== undefined && { max_bytes }) })

/** Opens a model and serves calls on the calling thread, which `session.run` blocks: give it a process of its own. */
export const openModelServer = async (options: ModelOptions): Promise<ModelServer> => {
  const started = performance.now()
  let session = await openSession(options.model_path, options.threads, options.tier === 'second_tier')
  const { inputs, outputs } = session
  const probed = await probe(session)
  const facts: ModelFacts = {
    name: options.name,
    version: options.version,
    inputs,
    outputs,
    open_ms: performance.now() - started,
    probed: probed !== undefined,
  }
  let closed = false
  let prepacked = options.tier === 'second_tier'
  let batch_limit = 1
  let measured_row_bytes = 0
  // A row larger than the measured one gets a smaller batch, so that none computes longer than what was measured.
  const limit = (row_bytes: number): number =>
    row_bytes <= measured_row_bytes ? batch_limit : Math.max(1, Math.floor((batch_limit * measured_row_bytes) / row_bytes))
  const batcher = createBatcher((tensors) => session.run(tensors), limit)
  let tellShapes: (inputs: readonly WireTensor[]) => void = () => undefined
  const firstShapes = new Promise<SampleShapes>((resolve) => {
    tellShapes = (inputs) => resolve(inputs.map(({ shape }) => [...shape]))
  })
  let called = false
  const layouts: LayoutCache = new Map()
  const recorder = options.record && recorderOf(options.record, session.first_dimension_free)

  const prepack = async (): Promise<void> => {
    const next = await openSession(options.model_path, options.threads, true)
    if (closed) return next.release()
    await batcher.idle()
    const previous = session
    session = next
    prepacked = true
    await previous.release()
  }

  const tuneBatches = async (shapes: SampleShapes): Promise<CurvePoint[]> => {
    if (!(await batchIsHarmless(session, shapes))) return []
    const curve = await measureCurve(session, shapes, () => batcher.idle(), tuning_budget_ms)
    measured_row_bytes = sampleInputs(inputs, shapes, 1, 1, 1).reduce((sum, { data }) => sum + data.length, 0)
    batch_limit = Math.min(chooseBatchLimit(curve), options.max_batch)
    return curve
  }

  const tune = async (): Promise<Tuning> => {
    await pause(20)
    await batcher.idle()
    if (!closed && options.tier === 'two_tiers' && weightBytes(options.model_path) <= prepack_in_place_bytes) await prepack()
    const may_batch = options.max_batch > 1 && session.first_dimension_free
    if (may_batch && probed && !isFlexible(inputs) && !closed) {
      const curve = await tuneBatches(probed)
      return { prepacked, curve, batch_limit }
    }
    // Where the caller chooses sizes, his first call shows which.
    if (may_batch && isFlexible(inputs)) {
      void firstShapes.then(async (shapes) => {
        await pause(20)
        await batcher.idle()
        if (!closed) await tuneBatches(shapes)
      })
    }
    return { prepacked, curve: [], batch_limit }
  }

  const read = (form: 'protocol' | 'bare', body: Uint8Array, json_bytes: number | undefined): InferCall =>
    form === 'protocol' ? readInfer(facts, layouts, body, json_bytes) : readBare(facts, layouts, body, json_bytes)
  const failed = (error: unknown): EncodedAnswer => {
    const { status, body } = renderFault(error)
    return { status, parts: [body], json_bytes: undefined, usage: nothing }
  }

  return {
    facts,
    tuned: tune(),
    infer: (form, body, json_bytes, done) => {
      let call: InferCall
      try {
        call = read(form, body, json_bytes)
      } catch (error) {
        done(failed(error))
        return { cancel: () => undefined }
      }
      if (!called) {
        called = true
        tellShapes(call.inputs)
      }
      return batcher.submit(call.inputs, (error, results, usage) => {
        if (error !== undefined) return done({ ...failed(error), usage })
        recorder?.note(call.inputs)
        try {
          done({ status: 200, ...encodeReply(facts, call, results), usage })
        } catch (fault) {
          done({ ...failed(fault), usage })
        }
      })
    },
    sample: () => recorder?.sample(),
    close: async () => {
      closed = true
      await batcher.idle()
      await session.release()
    },
  }
}
