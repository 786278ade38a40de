import type { OptimizerInput } from '../core/ports/optimizer.ts'
import { fitRows } from '../onnx/evaluate/split.ts'
import { OnnxFault } from '../onnx/fault.ts'
import { storeHalfWeights } from '../onnx/quantize/half/half-weights.ts'
import { storeInt8 } from '../onnx/quantize/stored-int8.ts'
import { chosenNodes } from './chosen-nodes.ts'
import { counted } from './counted.ts'
import { affordable, affordableNote } from './fit-share.ts'
import type { Settings } from './int8-weights.ts'
import { rewriteModel } from './rewrite-model.ts'

/** Rows that fit and judge; second moments of images say enough after a few dozen. */
const MOST_ROWS = 128

/** Writes the candidate these settings ask for. Fails with OnnxFault where no weight can be stored as int8, or what is asked cannot be kept. */
export const applyInt8Weights = async ({
  settings: { nodes, input_shapes, ...form },
  ...paths
}: Omit<OptimizerInput, 'settings'> & { settings: Settings }): Promise<{ notes: string[] }> => {
  const needs_rows = form.ordered || form.hold_sqnr_db !== undefined || form.most_bytes !== undefined
  const fit = needs_rows ? await fitRows({ evaluation_path: null, ...paths, most: MOST_ROWS, shapes: input_shapes }) : undefined
  return rewriteModel(paths, async (model, _is_folded, original) => {
    const choice = chosenNodes(original, nodes)
    const samples = affordable(fit?.samples ?? [])
    const more_samples = fit?.samples.slice(samples.length) ?? []
    const made = await storeInt8(model, { ...form, choice, samples, more_samples })
    if (Object.keys(made.quantized).length === 0)
      throw new OnnxFault('unsupported', `No weight could be stored as int8: ${counted(made.left) || 'the model stores none'}`)
    Object.assign(model, made.model)
    // What 8 bits are not for (recurrent layers, tables that are added) takes half the bytes all the same.
    const rest = nodes ? 0 : storeHalfWeights(model, { matrices_only: true }).tensors
    const finer = made.finer.size > 0 ? [`${made.finer.size} of them with 10 or 12 bits`] : []
    const halves = made.halves.length > 0 ? [`${made.halves.length} of them as halves`] : []
    const others = rest > 0 ? [`${rest} others as halves`] : []
    const kept = made.sqnr_db === undefined ? [] : [`${made.sqnr_db.toFixed(1)} dB on rows set aside`]
    const rounded = form.ordered ? ['rounded in order (GPTQ)'] : []
    return [
      `int8, floats once loaded: ${counted(made.quantized)}`,
      ...finer,
      ...halves,
      ...others,
      ...rounded,
      ...kept,
      ...(fit ? [affordableNote(fit)] : []),
    ]
  })
}
