import { rmSync } from 'node:fs'
import { readModelFile } from '../onnx/codec/read-model.ts'
import { writeModelFile } from '../onnx/codec/write-model.ts'
import { OnnxFault } from '../onnx/fault.ts'
import { normalisedModel } from '../onnx/probe/normalise.ts'
import { defaultNBitsSettings, quantizeNBits } from '../onnx/quantize/nbits/quantize-nbits.ts'
import type { Settings } from './block-weights.ts'
import { counted } from './counted.ts'

/** Writes the candidate these settings ask for. Fails with OnnxFault where no weight can be stored in blocks. */
export const applyBlockWeights = async ({
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
    const report = quantizeNBits(model, { ...defaultNBitsSettings, ...settings })
    if (Object.keys(report.quantized).length === 0)
      throw new OnnxFault(
        'unsupported',
        `No weight could be stored in blocks: ${counted(report.left) || 'the model stores none'}`,
      )
    writeModelFile(model, candidate_path)
    const left = Object.keys(report.left).length > 0 ? [`left as floats: ${counted(report.left)}`] : []
    return { notes: [`${settings.bits} bits in blocks of ${settings.block_size}: ${counted(report.quantized)}`, ...left] }
  } finally {
    rmSync(scratch_path, { force: true })
  }
}
