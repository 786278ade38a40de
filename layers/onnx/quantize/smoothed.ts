import { observe } from '../calibrate/calibrate.ts'
import { readModel } from '../codec/read-model.ts'
import type { ModelProto } from '../codec/schema.ts'
import { encodeModel } from '../codec/write-model.ts'
import type { Feeds } from '../evaluate/tensors.ts'
import { OnnxFault } from '../fault.ts'
import { type DynamicInt8Settings, type QuantizationReport, quantizeDynamic } from './dynamic-int8.ts'
import { referenceFor, sqnrAgainst } from './measure.ts'
import { defaultSmoothSettings, type SmoothSettings, smooth, smoothedValues } from './smooth.ts'
import { setAside } from './static/held-out.ts'

/** The paper's 0.5, and both sides of it: how much outliers weigh differs from model to model. */
const ALPHAS = [0.3, 0.5, 0.65, 0.8]
/** Less is within what other rows would say. */
const WORTH_DB = 0.5
const MOST_BYTES = 256 * 2 ** 20

export interface Smoothed extends QuantizationReport {
  model: ModelProto
  alpha: number
  sqnr_db: number
  /** Without smoothing. */
  plain_db: number
  folded: number
}

/**
 * Dynamic int8 of the model smoothed first, with the α that measures best on rows set aside. Factors are only folded into what stands
 * before, so nothing runs slower. Runs the model in this process, which for foreign ones must be one that may die.
 * @throws OnnxFault unsupported when nothing can be folded, or smoothing gains less than half a decibel
 */
export async function smoothThenQuantize(
  source: ModelProto,
  samples: readonly Feeds[],
  settings: DynamicInt8Settings,
): Promise<Smoothed> {
  const bytes = encodeModel(source)
  if (bytes.length > MOST_BYTES)
    throw new OnnxFault('unsupported', `Too large to smooth: ${bytes.length} bytes; wanted at most ${MOST_BYTES}`)
  const [fit, judges] = setAside(samples)
  const original = readModel(bytes)
  const values = smoothedValues(original)
  const seen = await observe(original, fit, { names: [...values], channels: values })
  const peaks = new Map([...seen].flatMap(([name, { channel_peaks }]) => (channel_peaks ? [[name, channel_peaks] as const] : [])))
  const reference = await referenceFor(readModel(bytes), judges)
  const quantized = async (alpha: number | undefined): Promise<Smoothed> => {
    const model = readModel(bytes)
    const form: SmoothSettings = { ...defaultSmoothSettings, insert_mul: false, ...(alpha === undefined ? {} : { alpha }) }
    const folded = alpha === undefined ? 0 : smooth(model, peaks, form).folded.length
    const report = quantizeDynamic(model, settings)
    return { ...report, model, alpha: alpha ?? 0, sqnr_db: await sqnrAgainst(reference, model), plain_db: 0, folded }
  }
  const plain = await quantized(undefined)
  let best = plain
  for (const alpha of ALPHAS) {
    const made = await quantized(alpha)
    if (made.folded === 0)
      throw new OnnxFault('unsupported', 'No product reads a normalisation, or a Mul, that could take the factors')
    if (made.sqnr_db > best.sqnr_db) best = made
  }
  if (best.sqnr_db < plain.sqnr_db + WORTH_DB)
    throw new OnnxFault(
      'unsupported',
      `Smoothing gains nothing here: ${best.sqnr_db.toFixed(1)} dB at best, ${plain.sqnr_db.toFixed(1)} dB without`,
    )
  return { ...best, plain_db: plain.sqnr_db }
}
