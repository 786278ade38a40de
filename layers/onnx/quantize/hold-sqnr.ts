import { InferenceSession, Tensor } from 'onnxruntime-node'
import { readModel } from '../codec/read-model.ts'
import type { ModelProto } from '../codec/schema.ts'
import { elementCount } from '../codec/tensor-values.ts'
import { encodeModel } from '../codec/write-model.ts'
import { fidelityMeter } from '../evaluate/fidelity.ts'
import { generatedRow, inputPlans, type ShapeHints } from '../evaluate/inputs.ts'
import { fromTensor, portOf, toTensor } from '../evaluate/session-tensors.ts'
import type { Feeds, TensorValue } from '../evaluate/tensors.ts'
import { OnnxFault } from '../fault.ts'
import { type DynamicInt8Settings, quantizeDynamic, targetsOf } from './dynamic-int8.ts'
import type { Target } from './targets.ts'

/** Every node is tried alone, so the whole search runs the model this many times: larger ones would take minutes. */
const MOST_TARGETS = 120
const MOST_BYTES = 64 * 2 ** 20
/** Half white, half smooth: errors of activations differ between them. Fewer rows misjudge by 2 dB. */
const ROWS = 12
/** Enough to tell which node costs more than another. */
const RANKING_ROWS = 3
const MOST_MS = 60_000

export interface Held {
  /** First outputs of the nodes to leave as floats. */
  exclude: Set<string>
  /** SQNR with nothing left as floats. */
  pure_sqnr_db: number
}

/**
 * Which nodes must stay floats so that the quantized model keeps an SQNR: each is quantized alone and its error measured; then the
 * fewest of those with the most error per weight saved are left out, found by bisection. Runs the model in this process, which
 * for foreign ones must be one that may die.
 * @throws OnnxFault unsupported when the model is too large to search, or when nothing could stay int8
 */
export async function holdSqnr(
  model: ModelProto,
  settings: DynamicInt8Settings,
  wanted_db: number,
  shapes: ShapeHints = {},
): Promise<Held> {
  const until = performance.now() + MOST_MS
  const bytes = encodeModel(model)
  const { targets } = targetsOf(model, settings)
  if (bytes.length > MOST_BYTES || targets.length > MOST_TARGETS)
    throw new OnnxFault(
      'unsupported',
      `Too large to search for sensitive nodes: ${targets.length} nodes, ${bytes.length} bytes; wanted at most ${MOST_TARGETS} and ${MOST_BYTES}`,
    )
  const reference = await referenceRuns(bytes, shapes)
  const noiseWithout = async (exclude: ReadonlySet<string>, rows = ROWS): Promise<number> => {
    const candidate = readModel(bytes)
    quantizeDynamic(candidate, { ...settings, exclude })
    return noiseOf(encodeModel(candidate), reference, rows)
  }
  const allowed = 10 ** (-wanted_db / 10)
  const pure = await noiseWithout(new Set())
  if (pure <= allowed) return { exclude: new Set(), pure_sqnr_db: decibel(pure) }
  const costliest = await ranked(targets, noiseWithout, until)
  const exclude = new Set(costliest.slice(0, await fewest(costliest, async (left) => (await noiseWithout(left)) <= allowed)))
  if (exclude.size === targets.length)
    throw new OnnxFault(
      'unsupported',
      `No node could become int8 and keep ${wanted_db} dB; all together keep ${decibel(pure).toFixed(1)} dB`,
    )
  return { exclude, pure_sqnr_db: decibel(pure) }
}

type NoiseWithout = (exclude: ReadonlySet<string>, rows?: number) => Promise<number>

/** First outputs of the targets, those with the most error per weight first, each measured with all others left as floats. */
async function ranked(targets: readonly Target[], noiseWithout: NoiseWithout, until: number): Promise<string[]> {
  const outputs = targets.map(({ node }) => node.output[0] ?? '')
  const alone: { output: string; cost: number }[] = []
  for (const [at, { weight }] of targets.entries()) {
    if (performance.now() > until)
      throw new OnnxFault('unsupported', `The search for sensitive nodes took longer than ${MOST_MS} ms`)
    const output = outputs[at] ?? ''
    const noise = await noiseWithout(new Set(outputs.filter((other) => other !== output)), RANKING_ROWS)
    alone.push({ output, cost: noise / elementCount(weight.dims) })
  }
  return alone.toSorted((a, b) => b.cost - a.cost).map(({ output }) => output)
}

/** How many from the front must go at least. Errors of several nodes do not simply add, so it is tried, not summed. */
async function fewest(costliest: readonly string[], bearable: (left: ReadonlySet<string>) => Promise<boolean>): Promise<number> {
  let [least, most] = [1, costliest.length]
  while (least < most) {
    const middle = Math.floor((least + most) / 2)
    if (await bearable(new Set(costliest.slice(0, middle)))) most = middle
    else least = middle + 1
  }
  return most
}

const decibel = (noise: number): number => (noise <= 0 ? 200 : -10 * Math.log10(noise))

interface Reference {
  rows: Feeds[]
  outputs: Record<string, TensorValue>[]
}

const open = (bytes: Uint8Array): Promise<InferenceSession> =>
  InferenceSession.create(bytes, { executionProviders: ['cpu'], intraOpNumThreads: 1, logSeverityLevel: 4 })

async function runRow(session: InferenceSession, feeds: Feeds): Promise<Record<string, TensorValue>> {
  const tensors = Object.fromEntries(Object.entries(feeds).map(([name, value]) => [name, toTensor(value)]))
  const answer = await session.run(tensors)
  return Object.fromEntries(
    Object.entries(answer).flatMap(([name, value]) => (value instanceof Tensor ? [[name, fromTensor(value)]] : [])),
  )
}

async function referenceRuns(bytes: Uint8Array, shapes: ShapeHints): Promise<Reference> {
  const session = await open(bytes)
  try {
    const ports = session.inputMetadata.map(portOf)
    for (const plan of inputPlans(ports)) {
      const rows = Array.from({ length: ROWS }, (_, seed) => generatedRow(ports, plan, seed, shapes))
      try {
        const outputs: Reference['outputs'] = []
        for (const row of rows) outputs.push(await runRow(session, row))
        if (outputs.some((row) => Object.values(row).some(({ dims }) => dims.every((size) => size > 0)))) return { rows, outputs }
      } catch {
        // The next plan's sizes may fit.
      }
    }
  } finally {
    await session.release()
  }
  throw new OnnxFault('unsupported', 'No generated input runs, so sensitive nodes cannot be found')
}

/** Error power over signal power of the worst output, 0 when identical. */
async function noiseOf(bytes: Uint8Array, reference: Reference, rows: number): Promise<number> {
  const session = await open(bytes)
  try {
    const meter = fidelityMeter(null)
    for (const [at, row] of reference.rows.slice(0, rows).entries())
      meter.add(reference.outputs[at] ?? {}, await runRow(session, row))
    const { sqnr_db } = meter.figures()
    return sqnr_db === null ? 0 : 10 ** (-sqnr_db / 10)
  } finally {
    await session.release()
  }
}
