import type { InferenceSession, Tensor } from 'onnxruntime-node'
import type { ModelProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'
import { mainGraph } from '../graph/walk.ts'
import { batchOf, type Column, type TrainingData } from './data.ts'
import { openSession } from './session.ts'
import { withInputShapes } from './values.ts'

export interface Predictor {
  /** Samples per run the model accepts. */
  batch: number
  /** The value of every picked sample, in their order. */
  predict(data: TrainingData, picked: readonly number[]): Promise<Column>
  release(): Promise<void>
}

const open = (
  model: ModelProto,
  value: string,
  data: TrainingData,
  batch: number,
  threads: number,
): Promise<InferenceSession> => {
  const shapes = Object.fromEntries(Object.entries(data.columns).map(([name, { dims }]) => [name, [batch, ...dims]]))
  const fixed = withInputShapes(model, shapes)
  const graph = { ...mainGraph(fixed), output: [{ name: value, metadata_props: [] }] }
  return openSession({ ...fixed, graph }, { threads })
}

const onlyInputs = (model: ModelProto, data: TrainingData): TrainingData => {
  const inputs = new Set(mainGraph(model).input.map((input) => input.name ?? ''))
  return { ...data, columns: Object.fromEntries(Object.entries(data.columns).filter(([name]) => inputs.has(name))) }
}

/** One value of a model over samples, in batches of `batch`, or one by one where the model is made for a single sample. */
export const startPredictor = async (
  model: ModelProto,
  value: string,
  data: TrainingData,
  { batch, threads }: { batch: number; threads: number },
): Promise<Predictor> => {
  const inputs = onlyInputs(model, data)
  let refused: unknown
  for (const size of batch === 1 ? [1] : [batch, 1]) {
    const session = await open(model, value, inputs, size, threads).catch((error: unknown) => {
      refused = error
    })
    if (!session) continue
    const run = async (picked: readonly number[]): Promise<Tensor> => (await session.run(batchOf(inputs, picked)))[value]!
    try {
      const tried = await run(Array.from({ length: size }, () => 0))
      if (tried.dims[0] === size)
        return {
          batch: size,
          predict: (all, picked) => collect(onlyInputs(model, all), picked, size, session, value),
          release: () => session.release(),
        }
      refused = new Error(`"${value}" has shape [${tried.dims}] for ${size} samples`)
    } catch (error) {
      refused = error
    }
    await session.release()
  }
  const detail = refused instanceof Error ? refused.message : String(refused)
  throw new OnnxFault('unsupported', `The model cannot be run sample by sample: ${detail}`, refused)
}

const collect = async (
  data: TrainingData,
  picked: readonly number[],
  size: number,
  session: InferenceSession,
  value: string,
): Promise<Column> => {
  let bytes = new Uint8Array(0)
  let dims: number[] = []
  let sample_bytes = 0
  for (let at = 0; at < picked.length; at += size) {
    const chosen = picked.slice(at, at + size)
    // Shapes are fixed: a short last batch is filled up with its first sample.
    const full = Array.from({ length: size }, (_, each) => chosen[each] ?? chosen[0]!)
    const answer = (await session.run(batchOf(data, full)))[value]!
    const part = answer.data
    if (!(part instanceof Float32Array))
      throw new OnnxFault('unsupported', `The value "${value}" is ${answer.type}; wanted float32`)
    if (at === 0) {
      dims = answer.dims.slice(1)
      sample_bytes = part.byteLength / size
      bytes = new Uint8Array(sample_bytes * picked.length)
    }
    bytes.set(new Uint8Array(part.buffer, part.byteOffset, chosen.length * sample_bytes), at * sample_bytes)
  }
  return { type: 'float32', dims, sample_bytes, bytes }
}
