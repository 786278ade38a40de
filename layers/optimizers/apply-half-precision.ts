import { rmSync } from 'node:fs'
import { readModelFile } from '../onnx/codec/read-model.ts'
import { writeModelFile } from '../onnx/codec/write-model.ts'
import { OnnxFault } from '../onnx/fault.ts'
import { normalisedModel } from '../onnx/probe/normalise.ts'
import { convertToHalf } from '../onnx/quantize/half/half-precision.ts'
import { storeHalfWeights } from '../onnx/quantize/half/half-weights.ts'
import { inferredTypes } from '../onnx/quantize/half/value-types.ts'
import { counted } from './counted.ts'
import type { Settings } from './half-precision.ts'

/** Writes the candidate these settings ask for. Fails with OnnxFault where nothing can become float16. */
export const applyHalfPrecision = async ({
  model_path,
  candidate_path,
  settings,
}: {
  model_path: string
  candidate_path: string
  settings: Settings
}): Promise<{ notes: string[] }> => {
  const scratch_path = `${candidate_path}.normalised`
  try {
    const model = (await normalisedModel(model_path, scratch_path)) ?? readModelFile(model_path)
    const notes = settings.weights_only ? storeWeights(model) : await convert(model)
    writeModelFile(model, candidate_path)
    return { notes }
  } finally {
    rmSync(scratch_path, { force: true })
  }
}

type Model = ReturnType<typeof readModelFile>

const storeWeights = (model: Model): string[] => {
  const { tensors, clamped } = storeHalfWeights(model)
  if (tensors === 0) throw new OnnxFault('unsupported', 'The model stores no float weights of 1,024 elements or more')
  return [`fp16: ${tensors} weights`, ...cutOff(clamped)]
}

const convert = async (model: Model): Promise<string[]> => {
  const { half, float, casts, clamped } = convertToHalf(model, await inferredTypes(model))
  if (Object.keys(half).length === 0) throw new OnnxFault('unsupported', `Nothing can compute in halves: ${counted(float)}`)
  const kept = Object.keys(float).length > 0 ? [`computed as floats: ${counted(float)}`] : []
  return [`fp16: ${counted(half)}`, ...kept, `${casts} casts`, ...cutOff(clamped)]
}

const cutOff = (clamped: number): string[] => (clamped > 0 ? [`${clamped} weights cut off at ±65504`] : [])
