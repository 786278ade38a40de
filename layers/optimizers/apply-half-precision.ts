import type { ModelProto } from '../onnx/codec/schema.ts'
import { OnnxFault } from '../onnx/fault.ts'
import { convertToHalf } from '../onnx/quantize/half/half-precision.ts'
import { storeHalfWeights } from '../onnx/quantize/half/half-weights.ts'
import { halveInterface } from '../onnx/quantize/half/interface.ts'
import { inferredTypes } from '../onnx/quantize/half/value-types.ts'
import { checkNames } from './chosen-nodes.ts'
import { counted } from './counted.ts'
import type { Settings } from './half-precision.ts'
import { patternsOf } from './node-options.ts'
import { rewriteModel } from './rewrite-model.ts'

/** Writes the candidate these settings ask for. Fails with OnnxFault where nothing can become float16. */
export const applyHalfPrecision = ({
  settings,
  ...paths
}: {
  model_path: string
  candidate_path: string
  settings: Settings
}): Promise<{ notes: string[] }> =>
  rewriteModel(paths, (model, _is_folded, original) =>
    settings.weights_only ? storeWeights(model) : convert(model, settings, original),
  )

const storeWeights = (model: ModelProto): string[] => {
  const { tensors, clamped } = storeHalfWeights(model)
  if (tensors === 0) throw new OnnxFault('unsupported', 'The model stores no float weights of 1,024 elements or more')
  return [`fp16: ${tensors} weights`, ...cutOff(clamped)]
}

const convert = async (
  model: ModelProto,
  { op_block_list, node_block_list, keep_io_types }: Settings,
  original: ModelProto,
): Promise<string[]> => {
  checkNames(original, node_block_list ?? [], 'node_block_list')
  const { half, float, casts, clamped } = convertToHalf(model, await inferredTypes(model), {
    ...(op_block_list ? { block_op_types: op_block_list } : {}),
    ...(node_block_list ? { nodes_to_exclude: patternsOf(node_block_list) } : {}),
  })
  if (Object.keys(half).length === 0) throw new OnnxFault('unsupported', `Nothing can compute in halves: ${counted(float)}`)
  const kept = Object.keys(float).length > 0 ? [`computed as floats: ${counted(float)}`] : []
  const turned = keep_io_types === false ? [`float16 now: ${halveInterface(model).join(', ') || 'no input or output'}`] : []
  return [`fp16: ${counted(half)}`, ...kept, `${casts} casts`, ...cutOff(clamped), ...turned]
}

const cutOff = (clamped: number): string[] => (clamped > 0 ? [`${clamped} weights cut off at ±65504`] : [])
