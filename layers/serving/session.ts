import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-node'
import { type Datatype, datatypeOf, numericTypes, ortTypeOf, type TensorFacts, type WireTensor } from './datatypes.ts'
import { ServingFault } from './fault.ts'
import { aligned } from './tensor-data.ts'

/** An open model: raw onnxruntime plus what the protocol says of it. */
export interface ModelSession {
  inputs: TensorFacts[]
  outputs: TensorFacts[]
  /** Every input and output has a free first dimension: batching may be tried. */
  first_dimension_free: boolean
  /** Blocks the thread while it computes. Tensors stand in the model's order. */
  run(inputs: readonly WireTensor[]): Promise<WireTensor[]>
  release(): Promise<void>
}

/** True where 8-bit products cannot saturate: x64 with VNNI, and everything that is not x64. */
const withoutSaturation = (): boolean => {
  if (process.arch !== 'x64') return true
  try {
    return /\b(avx512_vnni|avx_vnni)\b/.test(readFileSync('/proc/cpuinfo', 'latin1').slice(0, 20_000))
  } catch {
    return false
  }
}

/**
 * `prepack: false` is the first tier: with weights in external data onnxruntime maps them instead of copying, an 84 MB model opens in
 * 27 ms instead of 267. `prepack: true` has 2.4 times the batch throughput. Without VNNI, int8 products saturate at 16 bits
 * (31 instead of 44 dB on a trained MLP), which `x64quantprecision` prevents.
 */
export const sessionOptions = (threads: number, prepack: boolean): ort.InferenceSession.SessionOptions => ({
  executionProviders: ['cpu'],
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  logSeverityLevel: 4,
  extra: {
    session: {
      disable_prepacking: prepack ? '0' : '1',
      // Spinning threads of several processes on few cores ruin the tail: 4 became 18 ms at p99.
      'intra_op.allow_spinning': '0',
      ...(withoutSaturation() ? {} : { x64quantprecision: '1' }),
    },
  },
})

const factsOf = (metadata: readonly ort.InferenceSession.ValueMetadata[], kind: string): TensorFacts[] =>
  metadata.flatMap((value) => {
    if (!value.isTensor) {
      if (kind === 'output') return []
      throw new ServingFault(422, 'invalid_model', `${kind} '${value.name}' is not a tensor, which the protocol cannot carry`)
    }
    const datatype = datatypeOf(value.type)
    if (!datatype)
      throw new ServingFault(
        422,
        'invalid_model',
        `${kind} '${value.name}' has type ${value.type}, which the protocol cannot carry`,
      )
    return [
      { name: value.name, datatype, shape: value.shape.map((dimension) => (typeof dimension === 'number' ? dimension : -1)) },
    ]
  })

const toOrt = ({ datatype, data, shape }: WireTensor): ort.Tensor => {
  if (datatype === 'BYTES' || !(data instanceof Uint8Array))
    return new ort.Tensor('string', data instanceof Uint8Array ? [] : data, shape)
  const type = numericTypes[datatype]
  // onnxruntime-common 1.30 turns FP16 data into a Float16Array, which the native side reads as nothing; as UINT16 it arrives whole.
  if (datatype === 'FP16')
    return Object.defineProperty(new ort.Tensor('uint16', type.view(aligned(data, 2)), shape), 'type', { value: 'float16' })
  return new ort.Tensor(ortTypeOf(datatype), type.view(aligned(data, type.bytes)), shape)
}

const fromOrt = (name: string, datatype: Datatype, tensor: ort.Tensor): WireTensor => {
  const data = tensor.data
  const shape = [...tensor.dims]
  if (Array.isArray(data)) return { name, datatype, shape, data }
  return { name, datatype, shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
}

/** Opens a model file. Fails with 422 `invalid_model` and onnxruntime's reason. */
export const openSession = async (model_path: string, threads: number, prepack: boolean): Promise<ModelSession> => {
  const session = await ort.InferenceSession.create(model_path, sessionOptions(threads, prepack)).catch((cause: unknown) => {
    throw new ServingFault(
      422,
      'invalid_model',
      `onnxruntime cannot open the model: ${cause instanceof Error ? cause.message : String(cause)}`,
    )
  })
  const inputs = factsOf(session.inputMetadata, 'input')
  const outputs = factsOf(session.outputMetadata, 'output')
  if (outputs.length === 0) throw new ServingFault(422, 'invalid_model', 'the model has no output that is a tensor')
  const fetches = outputs.map(({ name }) => name)
  return {
    inputs,
    outputs,
    first_dimension_free: inputs.length > 0 && [...inputs, ...outputs].every(({ shape }) => shape[0] === -1),
    run: async (tensors) => {
      const feeds: Record<string, ort.Tensor> = {}
      for (const tensor of tensors) feeds[tensor.name] = toOrt(tensor)
      const results = await session.run(feeds, fetches)
      return outputs.map(({ name, datatype }) => {
        const result = results[name]
        if (!result) throw new ServingFault(422, 'model_error', `the model gave no value for output '${name}'`)
        return fromOrt(name, datatype, result)
      })
    },
    release: () => session.release(),
  }
}
