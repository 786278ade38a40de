import { readModel } from '../codec/read-model.ts'
import type { ModelProto } from '../codec/schema.ts'
import { encodeModel } from '../codec/write-model.ts'
import type { Feeds } from '../evaluate/tensors.ts'
import { OnnxFault } from '../fault.ts'
import { correctBiases } from './bias-correction.ts'
import { type DynamicInt8Settings, type QuantizationReport, quantizeDynamic } from './dynamic-int8.ts'
import { fitLastBias } from './last-bias.ts'
import { referenceFor, sqnrAgainst } from './measure.ts'
import { setAside } from './static/held-out.ts'
import { productGrams } from './static/product-grams.ts'

/** Rounding in order takes seconds for each megabyte of weights. */
const MOST_BYTES = 24 * 2 ** 20
/** Putting biases right runs the model once per layer. */
const CORRECTION_MS = 3000

export interface FittedDynamic extends QuantizationReport {
  model: ModelProto
  /** Over rows that fitted nothing. */
  sqnr_db: number
  /** Without fitting. */
  plain_db: number
  /** What was done, for notes. */
  ways: string[]
}

/**
 * Dynamic int8 fitted to rows of the real kind: weights rounded to the nearest or in order (GPTQ), and then biases as they were or put
 * right; what measures best on rows set aside is made once more from all of them. All run equally fast. Runs the model in this process, which for
 * foreign ones must be one that may die.
 * @throws OnnxFault unsupported when the model is too large for that, or a sample does not run
 */
export async function fitDynamic(
  source: ModelProto,
  samples: readonly Feeds[],
  settings: DynamicInt8Settings,
): Promise<FittedDynamic> {
  const bytes = encodeModel(source)
  if (bytes.length > MOST_BYTES)
    throw new OnnxFault('unsupported', `Too large to fit its weights: ${bytes.length} bytes; wanted at most ${MOST_BYTES}`)
  const [fit, judges] = setAside(samples)
  const original = readModel(bytes)
  const reference = await referenceFor(original, judges)
  const rounded = async (rows: readonly Feeds[]) => {
    const model = readModel(bytes)
    return { model, ...quantizeDynamic(model, { ...settings, grams: await productGrams(original, rows) }) }
  }
  const correct = async (model: ModelProto, rows: readonly Feeds[]): Promise<void> => {
    await correctBiases(model, original, rows, CORRECTION_MS)
    await fitLastBias(model, original, rows)
  }
  const plain = readModel(bytes)
  const report = quantizeDynamic(plain, settings)
  const plain_db = await sqnrAgainst(reference, plain)
  const { model } = await rounded(fit)
  const ordered_db = await sqnrAgainst(reference, model)
  await correct(model, fit)
  const corrected_db = await sqnrAgainst(reference, model)
  const sqnr_db = Math.max(plain_db, ordered_db, corrected_db)
  if (sqnr_db === plain_db) return { ...report, model: plain, sqnr_db, plain_db, ways: [] }
  const best = await rounded(samples)
  if (ordered_db >= corrected_db) return { ...best, sqnr_db, plain_db, ways: [ORDERED] }
  await correct(best.model, samples)
  return { ...best, sqnr_db, plain_db, ways: [ORDERED, 'biases put right'] }
}

const ORDERED = 'rounded in order (GPTQ)'
