import { readModel } from '../codec/read-model.ts'
import type { ModelProto } from '../codec/schema.ts'
import { elementCount } from '../codec/tensor-values.ts'
import { encodeModel } from '../codec/write-model.ts'
import type { Feeds } from '../evaluate/tensors.ts'
import { OnnxFault } from '../fault.ts'
import { intAttribute } from '../graph/attributes.ts'
import type { QuantizationReport } from './dynamic-int8.ts'
import { type Reference, referenceFor, sqnrAgainst } from './measure.ts'
import type { NodeChoice } from './node-choice.ts'
import { setAside } from './static/held-out.ts'
import { productGrams } from './static/product-grams.ts'
import type { AxisWeights } from './static/weight.ts'
import { quantizeWeightsOnly, type WeightOnlySettings, weightOnlyTargets } from './weight-only.ts'

export interface StoredInt8Job {
  choice?: NodeChoice
  /** Rows to round weights in order by, and to measure with; none: weights are rounded to the nearest, nothing is measured. */
  samples: readonly Feeds[]
  /** Whether the rows are good enough to round by: of the real kind. */
  ordered: boolean
  /** As few weights as halves as keep this SQNR. */
  hold_sqnr_db?: number | undefined
  /** As many weights as halves, the most sensitive first, as the file may have bytes. */
  most_bytes?: number | undefined
}

export interface StoredInt8 extends QuantizationReport {
  model: ModelProto
  /** First outputs of the nodes whose weights are halves. */
  halves: string[]
  /** Over rows that fitted nothing; undefined where nothing was measured. */
  sqnr_db: number | undefined
}

const RANKING_ROWS = 3
const MOST_TARGETS = 160
const MOST_MS = 25_000
const MOST_BYTES = 256 * 2 ** 20

/**
 * Weights as int8 that become floats when the model is loaded, the most sensitive ones as halves: nothing runs slower than before.
 * Depthwise kernels, a few per cent of the bytes and nearly all of the error, are halves unless sensitivity is measured. Runs the model in
 * this process, which for foreign ones must be one that may die.
 * @throws OnnxFault unsupported when what is asked cannot be kept, or nothing needs to stay
 */
export async function storeInt8(source: ModelProto, job: StoredInt8Job): Promise<StoredInt8> {
  const settings: WeightOnlySettings = { ...job.choice, widen: 'load', memo: new Map<string, AxisWeights>() }
  const searches = job.hold_sqnr_db !== undefined || job.most_bytes !== undefined
  const { targets } = weightOnlyTargets(source, settings)
  const depthwise = targets.flatMap(({ kind, node, weight }) =>
    kind === 'Conv' && weight.dims[1] === 1 && intAttribute(node, 'group', 1) > 1 ? [node.output[0] ?? ''] : [],
  )
  if (!searches && !job.ordered) {
    const report = quantizeWeightsOnly(source, { ...settings, halves: new Set(depthwise) })
    return { ...report, model: source, halves: depthwise, sqnr_db: undefined }
  }
  const bytes = encodeModel(source)
  if (bytes.length > MOST_BYTES || (searches && targets.length > MOST_TARGETS))
    throw new OnnxFault(
      'unsupported',
      `Too large to fit its weights: ${targets.length} weights, ${bytes.length} bytes; wanted at most ${MOST_TARGETS} and ${MOST_BYTES}`,
    )
  const [fit, judges] = setAside(job.samples)
  if (job.ordered) settings.grams = await productGrams(readModel(bytes), fit)
  const build = (more: WeightOnlySettings) => {
    const model = readModel(bytes)
    return { model, ...quantizeWeightsOnly(model, { ...settings, ...more }) }
  }
  const reference = await referenceFor(readModel(bytes), judges)
  const finish = async (halves: string[]): Promise<StoredInt8> => {
    const made = build({ halves: new Set(halves) })
    return { ...made, halves, sqnr_db: await sqnrAgainst(reference, made.model) }
  }
  if (!searches) return finish(depthwise)
  const wanted = targets.filter(({ kind }) => kind !== 'Gather')
  const outputs = wanted.map(({ node }) => node.output[0] ?? '')
  const alone = (output: string) => build({ nodes_to_quantize: [output] }).model
  const noise = await eachNoise(reference, outputs, alone)
  const elements = new Map(wanted.map(({ node, weight }) => [node.output[0] ?? '', elementCount(weight.dims)]))
  const cost = (output: string): number => (noise.get(output) ?? 0) / (elements.get(output) ?? 1)
  const ranked = outputs.toSorted((a, b) => cost(b) - cost(a))
  const sizeOf = (count: number): number => encodeModel(build({ halves: new Set(ranked.slice(0, count)) }).model).length
  return job.most_bytes !== undefined
    ? finish(await asManyAsFit(ranked, elements, sizeOf, job.most_bytes))
    : fewest(ranked, finish, job.hold_sqnr_db ?? 0)
}

/** Error power over signal power with each node alone in 8 bits; those not reached in time count as harmless. */
async function eachNoise(
  reference: Reference,
  outputs: readonly string[],
  alone: (output: string) => ModelProto,
): Promise<Map<string, number>> {
  const until = performance.now() + MOST_MS
  const noise = new Map<string, number>()
  for (const output of outputs) {
    if (performance.now() > until) break
    noise.set(output, 10 ** (-(await sqnrAgainst(reference, alone(output), RANKING_ROWS)) / 10))
  }
  return noise
}

/** The front of the ranking, leaving out those too large for what is left. */
async function asManyAsFit(
  ranked: readonly string[],
  elements: ReadonlyMap<string, number>,
  sizeOf: (count: number) => number,
  most_bytes: number,
): Promise<string[]> {
  const pure = sizeOf(0)
  if (pure > most_bytes)
    throw new OnnxFault('unsupported', `All weights as int8 take ${pure} bytes; wanted at most ${most_bytes}`)
  let room = most_bytes - pure
  const halves: string[] = []
  for (const output of ranked) {
    const more = elements.get(output) ?? 0
    if (more > room) continue
    room -= more
    halves.push(output)
  }
  return halves
}

/** By bisection, since errors of several nodes do not simply add. */
async function fewest(
  ranked: readonly string[],
  finish: (halves: string[]) => Promise<StoredInt8>,
  wanted_db: number,
): Promise<StoredInt8> {
  const pure = await finish([])
  if ((pure.sqnr_db ?? 0) >= wanted_db)
    throw new OnnxFault('unsupported', `No weight needs more than 8 bits: all together keep ${pure.sqnr_db?.toFixed(1)} dB`)
  let [least, most, best] = [1, ranked.length, await finish([...ranked])]
  if ((best.sqnr_db ?? 0) < wanted_db)
    throw new OnnxFault('unsupported', `Not even with halves are ${wanted_db} dB kept: ${best.sqnr_db?.toFixed(1)} dB`)
  while (least < most) {
    const middle = Math.floor((least + most) / 2)
    const made = await finish(ranked.slice(0, middle))
    if ((made.sqnr_db ?? 0) >= wanted_db) [most, best] = [middle, made]
    else least = middle + 1
  }
  return best
}
