import { readModel } from '../codec/read-model.ts'
import type { ModelProto } from '../codec/schema.ts'
import { elementCount } from '../codec/tensor-values.ts'
import { encodeModel } from '../codec/write-model.ts'
import type { Feeds } from '../evaluate/tensors.ts'
import { OnnxFault } from '../fault.ts'
import { intAttribute } from '../graph/attributes.ts'
import { compact } from './compact.ts'
import type { QuantizationReport } from './dynamic-int8.ts'
import { fitLastBias } from './last-bias.ts'
import { distanceFrom, type Reference, referenceFor, sqnrAgainst } from './measure.ts'
import type { NodeChoice } from './node-choice.ts'
import type { FinerBits } from './remainders.ts'
import { setAside } from './static/held-out.ts'
import { productGrams } from './static/product-grams.ts'
import type { AxisWeights } from './static/weight.ts'
import { quantizeWeightsOnly, type WeightOnlySettings, weightOnlyTargets } from './weight-only.ts'

export interface StoredInt8Job {
  choice?: NodeChoice
  /** Rows to round weights in order by, and to measure with; none: weights are rounded to the nearest, nothing is measured. */
  samples: readonly Feeds[]
  /** More rows, of which only answers are looked at: they say which way decisions go. */
  more_samples?: readonly Feeds[]
  /** Whether the rows are good enough to round by: of the real kind. */
  ordered: boolean
  /** As few weights with ten or twelve bits as keep this SQNR. */
  hold_sqnr_db?: number | undefined
  /** As many weights with ten or twelve bits, the most sensitive first, as the file may have bytes; what is no weight becomes as small as it can. */
  most_bytes?: number | undefined
}

type Finer = ReadonlyMap<string, FinerBits>

export interface StoredInt8 extends QuantizationReport {
  model: ModelProto
  /** First outputs of the nodes whose weights are halves. */
  halves: string[]
  /** Those whose weights have ten or twelve bits. */
  finer: Finer
  /** Over rows that fitted nothing; undefined where nothing was measured. */
  sqnr_db: number | undefined
}

const RANKING_ROWS = 6
const MOST_TARGETS = 160
const MOST_MS = 25_000
const MOST_BYTES = 256 * 2 ** 20

/**
 * Weights as int8 that become floats when the model is loaded, the most sensitive ones with ten or twelve bits: nothing runs slower than before.
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
    return { ...report, model: source, halves: depthwise, finer: new Map(), sqnr_db: undefined }
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
  const made = async (finer: Finer, halves: string[] = []): Promise<StoredInt8> => {
    const built = build({ halves: new Set(halves), finer })
    return { ...built, halves, finer, sqnr_db: await sqnrAgainst(reference, built.model) }
  }
  const finish = async (chosen: StoredInt8): Promise<StoredInt8> => {
    const moved = job.ordered && (await fitLastBias(chosen.model, readModel(bytes), [...fit, ...(job.more_samples ?? [])]))
    if (job.most_bytes !== undefined) compact(chosen.model)
    return moved ? { ...chosen, sqnr_db: await sqnrAgainst(reference, chosen.model) } : chosen
  }
  if (!searches) return finish(await made(new Map(), depthwise))
  const wanted = targets.filter(({ kind }) => kind !== 'Gather')
  const outputs = wanted.map(({ node }) => node.output[0] ?? '')
  const few = { samples: judges.slice(0, RANKING_ROWS), outputs: reference.outputs.slice(0, RANKING_ROWS) }
  const noise = await eachNoise(few, outputs, (output) => build({ nodes_to_quantize: [output] }).model)
  const elements = new Map(wanted.map(({ node, weight }) => [node.output[0] ?? '', elementCount(weight.dims)]))
  const steps = finerSteps(outputs, noise, elements)
  const { model: smallest } = build({})
  compact(smallest)
  const pure = encodeModel(smallest).length
  return job.most_bytes !== undefined
    ? finish(await made(asManyAsFit(steps, pure, job.most_bytes)))
    : finish(await fewest(steps, made, job.hold_sqnr_db ?? 0))
}

/** How far the outputs go with each node alone in 8 bits; those not reached in time count as harmless. */
async function eachNoise(
  reference: Reference,
  outputs: readonly string[],
  alone: (output: string) => ModelProto,
): Promise<Map<string, number>> {
  const until = performance.now() + MOST_MS
  const noise = new Map<string, number>()
  for (const output of outputs) {
    if (performance.now() > until) break
    noise.set(output, await distanceFrom(reference, alone(output)))
  }
  return noise
}

/** Two bits more for one weight. */
interface FinerStep {
  output: string
  bits: FinerBits
  bytes: number
}

/** Of the nodes that put the bits in: names, a Reshape with its shape, an Add; and once what takes bytes apart. */
const NODE_BYTES = { weight: 120, all: 2400 }
/** What two bits leave of an error's power. */
const TWO_BITS = 1 / 16

/** Every weight's two bits more, and two more again, those first that take most error away for a byte. */
function finerSteps(
  outputs: readonly string[],
  noise: ReadonlyMap<string, number>,
  elements: ReadonlyMap<string, number>,
): FinerStep[] {
  const steps = outputs.flatMap((output) => {
    const bytes = (elements.get(output) ?? 0) / 4
    const gain = (noise.get(output) ?? 0) * (1 - TWO_BITS)
    return [
      { output, bits: 10 as const, bytes: bytes + NODE_BYTES.weight, gain },
      { output, bits: 12 as const, bytes, gain: gain * TWO_BITS },
    ]
  })
  return steps.toSorted((a, b) => b.gain / b.bytes - a.gain / a.bytes)
}

/** From the front, leaving out those too large for what is left. */
function asManyAsFit(steps: readonly FinerStep[], pure: number, most_bytes: number): Finer {
  if (pure > most_bytes)
    throw new OnnxFault('unsupported', `All weights as int8 take ${pure} bytes; wanted at most ${most_bytes}`)
  let room = most_bytes - pure - NODE_BYTES.all
  const finer = new Map<string, FinerBits>()
  for (const { output, bits, bytes } of steps) {
    if (bytes > room || (bits === 12 && !finer.has(output))) continue
    room -= bytes
    finer.set(output, bits)
  }
  return finer
}

/** By bisection, since errors of several nodes do not simply add. */
async function fewest(
  steps: readonly FinerStep[],
  build: (finer: Finer) => Promise<StoredInt8>,
  wanted_db: number,
): Promise<StoredInt8> {
  const first = (count: number): Finer => new Map(steps.slice(0, count).map(({ output, bits }) => [output, bits]))
  const pure = await build(new Map())
  if ((pure.sqnr_db ?? 0) >= wanted_db)
    throw new OnnxFault('unsupported', `No weight needs more than 8 bits: all together keep ${pure.sqnr_db?.toFixed(1)} dB`)
  let [least, most, best] = [1, steps.length, await build(first(steps.length))]
  if ((best.sqnr_db ?? 0) < wanted_db)
    throw new OnnxFault('unsupported', `Not even with 12 bits are ${wanted_db} dB kept: ${best.sqnr_db?.toFixed(1)} dB`)
  while (least < most) {
    const middle = Math.floor((least + most) / 2)
    const made = await build(first(middle))
    if ((made.sqnr_db ?? 0) >= wanted_db) [most, best] = [middle, made]
    else least = middle + 1
  }
  return best
}
