import type { OptimizerInput } from '../core/ports/optimizer.ts'
import { readModelFile } from '../onnx/codec/read-model.ts'
import { fitRows } from '../onnx/evaluate/split.ts'
import { OnnxFault } from '../onnx/fault.ts'
import { makeStatic } from '../onnx/quantize/static/make-static.ts'
import { chosenNodes } from './chosen-nodes.ts'
import { counted } from './counted.ts'
import { affordable, affordableNote } from './fit-share.ts'
import type { Settings } from './static-int8.ts'

/** Rows for ranges and for choosing between candidates: more change no range by as much as a step. */
const MOST_ROWS = 256
const PRODUCTS = ['Conv', 'Gemm', 'MatMul', 'Relu', 'Clip']

/** Writes the candidate these settings ask for. Fails with OnnxFault where nothing can become int8, or would compute in floats all the same. */
export async function applyStaticInt8({
  settings: { operators, weight_type, activation_type, calibration_method, per_channel, hold_sqnr_db, nodes },
  ...paths
}: Omit<OptimizerInput, 'settings'> & { settings: Settings }): Promise<{ notes: string[] }> {
  const fit = await fitRows({ evaluation_path: null, ...paths, most: MOST_ROWS })
  if (fit.inputs === 'generated')
    throw new OnnxFault('unsupported', 'Static int8 needs rows of the real kind: supply calibration_data or evaluation_data')
  const chosen = chosenNodes(readModelFile(paths.model_path), nodes)
  const made = await makeStatic({
    model_path: paths.model_path,
    candidate_path: paths.candidate_path,
    samples: affordable(fit.samples),
    ...(calibration_method ? { methods: [calibration_method] } : {}),
    hold_sqnr_db,
    settings: {
      activation_type,
      ...(per_channel === undefined ? {} : { per_channel }),
      ...(weight_type ? { weight_type } : {}),
      ...(operators === 'products' ? { op_types_to_quantize: PRODUCTS } : {}),
      ...chosen,
    },
  })
  const left = Object.keys(made.left).length > 0 ? [`left as floats: ${counted(made.left)}`] : []
  const dropped = made.dropped.length > 0 ? [`${made.dropped.length} products in floats: ${named(made.dropped)}`] : []
  const how = [
    `ranges by ${made.method}`,
    `weights ${made.settings.weight_type}`,
    ...(made.ordered ? ['rounded in order (GPTQ)'] : []),
  ]
  return {
    notes: [
      `static int8: ${counted(made.quantized)}`,
      ...left,
      ...dropped,
      how.join(', '),
      `${made.sqnr_db.toFixed(1)} dB on rows set aside`,
      affordableNote(fit),
    ],
  }
}

const SHOWN = 5
const named = (names: readonly string[]): string =>
  names.length > SHOWN ? `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more` : names.join(', ')
