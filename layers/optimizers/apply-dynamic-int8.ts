import type { ModelProto } from '../onnx/codec/schema.ts'
import type { DataPaths } from '../onnx/evaluate/split.ts'
import { OnnxFault } from '../onnx/fault.ts'
import { int8Support } from '../onnx/probe/isa.ts'
import { type DynamicInt8Settings, type QuantizationReport, quantizeDynamic } from '../onnx/quantize/dynamic-int8.ts'
import { storeHalfWeights } from '../onnx/quantize/half/half-weights.ts'
import { chosenNodes } from './chosen-nodes.ts'
import { counted } from './counted.ts'
import type { Settings } from './dynamic-int8.ts'
import { affordable, affordableNote } from './fit-share.ts'
import { rewriteModel } from './rewrite-model.ts'

/** Rows that weights and biases are fitted to, and chosen by. */
const MOST_ROWS = 512

/** Writes the candidate these settings ask for. Fails with OnnxFault where no weight can become int8. */
export const applyDynamicInt8 = ({
  settings,
  ...paths
}: ModelPaths & Partial<DataPaths> & { settings: Settings }): Promise<{ notes: string[] }> =>
  rewriteModel(paths, async (model, is_folded, original) => {
    const { nodes, hold_sqnr_db, rest_as_halves, fitted, ...form } = settings
    const chosen = { ...form, ...chosenNodes(original, nodes) }
    const exclude = hold_sqnr_db === undefined ? undefined : await sensitiveNodes(model, chosen, hold_sqnr_db)
    const form_of_all = { ...chosen, ...(exclude && { exclude }) }
    const fit = fitted ? await fitTo(paths, model, form_of_all) : undefined
    const report = fit?.report ?? quantizeDynamic(model, form_of_all)
    if (Object.keys(report.quantized).length === 0)
      throw new OnnxFault('unsupported', `No weight could become int8: ${counted(report.left) || 'the model stores none'}`)
    const halves = rest_as_halves ? storeHalfWeights(model, { matrices_only: true }).tensors : 0
    return [...notesOf(report, is_folded), ...(fit?.notes ?? []), ...(halves > 0 ? [`${halves} others as halves`] : [])]
  })

interface ModelPaths {
  model_path: string
  candidate_path: string
}

/** Puts the best of what can be fitted to the supplied rows in the model's place. */
async function fitTo(
  { model_path, calibration_path = null, evaluation_path = null }: ModelPaths & Partial<DataPaths>,
  model: ModelProto,
  settings: DynamicInt8Settings,
): Promise<{ report: QuantizationReport; notes: string[] }> {
  const [{ fitRows }, { fitDynamic }] = await Promise.all([
    import('../onnx/evaluate/split.ts'),
    import('../onnx/quantize/fitted-dynamic.ts'),
  ])
  const fit = await fitRows({ model_path, calibration_path, evaluation_path, most: MOST_ROWS })
  if (fit.inputs === 'generated')
    throw new OnnxFault('unsupported', 'Fitting needs rows of the real kind: supply calibration_data')
  const made = await fitDynamic(model, affordable(fit.samples), settings)
  Object.assign(model, made.model)
  const gain = `${made.sqnr_db.toFixed(1)} dB on rows set aside, ${made.plain_db.toFixed(1)} unfitted`
  return { report: made, notes: [...made.ways, gain, affordableNote(fit)] }
}

/** Nodes to keep as floats. Refuses to make the same candidate twice. */
async function sensitiveNodes(model: ModelProto, settings: DynamicInt8Settings, wanted_db: number): Promise<Set<string>> {
  const { holdSqnr } = await import('../onnx/quantize/hold-sqnr.ts')
  const { exclude, pure_sqnr_db } = await holdSqnr(model, settings, wanted_db)
  if (exclude.size > 0) return exclude
  throw new OnnxFault('nothing_to_do', `Nothing needs to stay floats: all of it together keeps ${pure_sqnr_db.toFixed(1)} dB`)
}

const notesOf = ({ quantized, left }: QuantizationReport, normalised: boolean): string[] => [
  `int8: ${counted(quantized)}`,
  ...(Object.keys(left).length > 0 ? [`left as floats: ${counted(left)}`] : []),
  ...(normalised ? [] : ['constants not folded first']),
  `for CPUs with ${int8Support()}`,
]
