import type { ModelProto } from '../onnx/codec/schema.ts'
import { OnnxFault } from '../onnx/fault.ts'
import { int8Support } from '../onnx/probe/isa.ts'
import { type QuantizationReport, quantizeDynamic } from '../onnx/quantize/dynamic-int8.ts'
import { counted } from './counted.ts'
import type { Settings } from './dynamic-int8.ts'
import { rewriteModel } from './rewrite-model.ts'

/** Writes the candidate these settings ask for. Fails with OnnxFault where no weight can become int8. */
export const applyDynamicInt8 = ({
  settings,
  ...paths
}: {
  model_path: string
  candidate_path: string
  settings: Settings
}): Promise<{ notes: string[] }> =>
  rewriteModel(paths, async (model, is_folded) => {
    const exclude = await sensitiveNodes(model, settings)
    const report = quantizeDynamic(model, { ...settings, ...(exclude && { exclude }) })
    if (Object.keys(report.quantized).length === 0)
      throw new OnnxFault('unsupported', `No weight could become int8: ${counted(report.left) || 'the model stores none'}`)
    return notesOf(report, is_folded)
  })

/** Nodes to keep as floats, or undefined when none was asked for. Refuses to make the same candidate twice. */
async function sensitiveNodes(model: ModelProto, settings: Settings): Promise<Set<string> | undefined> {
  if (settings.hold_sqnr_db === undefined) return undefined
  const { holdSqnr } = await import('../onnx/quantize/hold-sqnr.ts')
  const { exclude, pure_sqnr_db } = await holdSqnr(model, settings, settings.hold_sqnr_db)
  if (exclude.size > 0) return exclude
  throw new OnnxFault('unsupported', `Nothing needs to stay floats: all of it together keeps ${pure_sqnr_db.toFixed(1)} dB`)
}

const notesOf = ({ quantized, left }: QuantizationReport, normalised: boolean): string[] => [
  `int8: ${counted(quantized)}`,
  ...(Object.keys(left).length > 0 ? [`left as floats: ${counted(left)}`] : []),
  ...(normalised ? [] : ['constants not folded first']),
  `for CPUs with ${int8Support()}`,
]
