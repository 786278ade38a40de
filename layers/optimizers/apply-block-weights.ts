import { OnnxFault } from '../onnx/fault.ts'
import { defaultNBitsSettings, quantizeNBits } from '../onnx/quantize/nbits/quantize-nbits.ts'
import type { Settings } from './block-weights.ts'
import { counted } from './counted.ts'
import { rewriteModel } from './rewrite-model.ts'

/** Writes the candidate these settings ask for. Fails with OnnxFault where no weight can be stored in blocks. */
export const applyBlockWeights = ({
  settings,
  ...paths
}: {
  model_path: string
  candidate_path: string
  settings: Settings
}): Promise<{ notes: string[] }> =>
  rewriteModel(paths, (model) => {
    const { quantized, left } = quantizeNBits(model, { ...defaultNBitsSettings, ...settings })
    if (Object.keys(quantized).length === 0)
      throw new OnnxFault('unsupported', `No weight could be stored in blocks: ${counted(left) || 'the model stores none'}`)
    const floats = Object.keys(left).length > 0 ? [`left as floats: ${counted(left)}`] : []
    return [`${settings.bits} bits in blocks of ${settings.block_size}: ${counted(quantized)}`, ...floats]
  })
