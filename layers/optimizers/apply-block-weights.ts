import type { OptimizerInput } from '../core/ports/optimizer.ts'
import { fitRows } from '../onnx/evaluate/split.ts'
import { OnnxFault } from '../onnx/fault.ts'
import { defaultNBitsSettings, gramsFor, quantizeNBits } from '../onnx/quantize/nbits/quantize-nbits.ts'
import type { Settings } from './block-weights.ts'
import { chosenNodes } from './chosen-nodes.ts'
import { counted } from './counted.ts'
import { rewriteModel } from './rewrite-model.ts'

/** Rows whose second moments say how the inputs of a product go together. */
const MOST_ROWS = 256

/** Writes the candidate these settings ask for. Fails with OnnxFault where no weight can be stored in blocks. */
export const applyBlockWeights = async ({
  settings: { nodes, ...form },
  ...paths
}: Omit<OptimizerInput, 'settings'> & { settings: Settings }): Promise<{ notes: string[] }> => {
  const fit = form.algorithm === 'gptq' ? await fitRows({ evaluation_path: null, ...paths, most: MOST_ROWS }) : undefined
  return rewriteModel(paths, async (model, _is_folded, original) => {
    const settings = { ...defaultNBitsSettings, ...form, ...chosenNodes(original, nodes) }
    const grams = fit && (await gramsFor(model, fit.samples, settings))
    const { quantized, left } = quantizeNBits(model, settings, grams)
    if (Object.keys(quantized).length === 0)
      throw new OnnxFault('unsupported', `No weight could be stored in blocks: ${counted(left) || 'the model stores none'}`)
    const floats = Object.keys(left).length > 0 ? [`left as floats: ${counted(left)}`] : []
    const notes = [`${form.bits} bits in blocks of ${form.block_size}: ${counted(quantized)}`, ...floats]
    return fit ? [...notes, fit.note] : notes
  })
}
