import type { OptimizerInput } from '../core/ports/optimizer.ts'
import { fitRows } from '../onnx/evaluate/split.ts'
import { storeHalfWeights } from '../onnx/quantize/half/half-weights.ts'
import { smoothThenQuantize } from '../onnx/quantize/smoothed.ts'
import { chosenNodes } from './chosen-nodes.ts'
import { counted } from './counted.ts'
import { rewriteModel } from './rewrite-model.ts'
import type { Settings } from './smooth-int8.ts'

/** Rows whose peaks by channel give the factors, and that choose α. */
const MOST_ROWS = 48

/** Writes the candidate these settings ask for. Fails with OnnxFault where nothing can take the factors, or smoothing gains nothing. */
export const applySmoothInt8 = async ({
  settings: { weight_type, input_shapes, nodes },
  ...paths
}: Omit<OptimizerInput, 'settings'> & { settings: Settings }): Promise<{ notes: string[] }> => {
  const fit = await fitRows({ evaluation_path: null, ...paths, most: MOST_ROWS, shapes: input_shapes })
  return rewriteModel(paths, async (model, _is_folded, original) => {
    const settings = { weight_type, conv: 'none' as const, gather: true, ...chosenNodes(original, nodes) }
    const made = await smoothThenQuantize(model, fit.samples, settings)
    Object.assign(model, made.model)
    storeHalfWeights(model, { matrices_only: true })
    return [
      `int8: ${counted(made.quantized)}`,
      `smoothed ${made.folded} values with α ${made.alpha}: ${made.sqnr_db.toFixed(1)} dB, ${made.plain_db.toFixed(1)} without`,
      fit.note,
    ]
  })
}
