import { InferenceSession, Tensor } from 'onnxruntime-node'
import { toTensors } from '../calibrate/tap.ts'
import type { ModelProto } from '../codec/schema.ts'
import { encodeModel } from '../codec/write-model.ts'
import { fidelityMeter } from '../evaluate/fidelity.ts'
import { fromTensor } from '../evaluate/session-tensors.ts'
import { type Feeds, sameShape, type TensorValue } from '../evaluate/tensors.ts'
import { OnnxFault } from '../fault.ts'
import { int8Support } from '../probe/isa.ts'

type Outputs = Record<string, TensorValue>

/** What a model answers to samples, to hold candidates against. */
export interface Reference {
  samples: readonly Feeds[]
  outputs: Outputs[]
}

/** With the switch that serving sets where int16 sums would saturate, so that what is measured is what will be served. */
const open = (bytes: Uint8Array): Promise<InferenceSession> =>
  InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
    extra: { session: ['vnni', 'arm'].includes(int8Support()) ? {} : { x64quantprecision: '1' } },
  })

/** Runs the samples, each one's outputs shown as soon as they are known. In this process, as the others here. */
export async function answers(
  model: ModelProto,
  samples: readonly Feeds[],
  visit: (outputs: Outputs, at: number) => void,
): Promise<void> {
  const session = await open(encodeModel(model))
  try {
    for (const [at, feeds] of samples.entries()) {
      const answer = await session.run(toTensors(feeds))
      const tensors = Object.entries(answer).flatMap(([name, value]) =>
        value instanceof Tensor ? [[name, fromTensor(value)] as const] : [],
      )
      visit(Object.fromEntries(tensors), at)
    }
  } finally {
    await session.release()
  }
}

/** Runs the samples once. In this process, which for foreign models must be one that may die. */
export async function referenceFor(model: ModelProto, samples: readonly Feeds[]): Promise<Reference> {
  if (samples.length === 0) throw new OnnxFault('unsupported', 'Measuring fidelity needs at least one sample')
  const outputs: Outputs[] = []
  await answers(model, samples, (found) => outputs.push(found))
  return { samples, outputs }
}

/** SQNR in dB of the worst float output over the reference's samples (or the first `count`); 200 when identical. */
export async function sqnrAgainst(
  reference: Reference,
  candidate: ModelProto,
  count = reference.samples.length,
): Promise<number> {
  const meter = fidelityMeter(null)
  const energies = new Map<string, Energy>()
  await answers(candidate, reference.samples.slice(0, count), (found, at) => {
    const wanted = reference.outputs[at] ?? {}
    if (Object.entries(wanted).every(([name, value]) => addEnergy(energies, name, value, found[name]))) return
    meter.add(wanted, found)
  })
  return Math.min(meter.figures().sqnr_db ?? MOST_DB, ...[...energies.values()].map(decibels))
}

interface Energy {
  signal: number
  error: number
}
const MOST_DB = 200

/** Adds a pair of finite float32 outputs of one shape, without the boxes a general meter needs; false for anything else. */
function addEnergy(energies: Map<string, Energy>, name: string, wanted: TensorValue, got: TensorValue | undefined): boolean {
  if (!sameShape(wanted, got) || wanted.type !== 'float32' || 'texts' in wanted || 'texts' in got) return false
  const [left, right] = [floatsOf(wanted.bytes), floatsOf(got.bytes)]
  let [signal, error] = [0, 0]
  for (let at = 0; at < left.length; at++) {
    const off = left[at]! - right[at]!
    signal += left[at]! * left[at]!
    error += off * off
  }
  if (!Number.isFinite(signal + error) || got.type !== 'float32') return false
  const known = energies.get(name) ?? { signal: 0, error: 0 }
  energies.set(name, { signal: known.signal + signal, error: known.error + error })
  return true
}

const floatsOf = (bytes: Uint8Array): Float32Array =>
  bytes.byteOffset % 4 === 0
    ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
    : new Float32Array(bytes.slice().buffer)

const decibels = ({ signal, error }: Energy): number => {
  if (error === 0) return MOST_DB
  return signal === 0 ? -MOST_DB : Math.max(-MOST_DB, Math.min(MOST_DB, 10 * Math.log10(signal / error)))
}

/**
 * How far a candidate's outputs are from the reference's, the sum over all of them of (p − q)² ÷ (p + q): of probabilities about twice the
 * Kullback–Leibler divergence, to which a doubtful answer between two classes counts as much as it should, whether it tips over or not;
 * outputs that can be negative count by their squared error.
 */
export async function distanceFrom(reference: Reference, candidate: ModelProto): Promise<number> {
  let sum = 0
  await answers(candidate, reference.samples, (found, at) => {
    for (const [name, wanted] of Object.entries(reference.outputs[at] ?? {})) {
      const got = found[name]
      if (!sameShape(wanted, got) || wanted.type !== 'float32' || got.type !== 'float32' || 'texts' in wanted || 'texts' in got)
        continue
      sum += distance(floatsOf(wanted.bytes), floatsOf(got.bytes))
    }
  })
  return sum
}

/** Below this two probabilities are both none. */
const LEAST = 1e-12

function distance(wanted: Float32Array, got: Float32Array): number {
  const positive = wanted.every((value) => value >= 0)
  let sum = 0
  for (let at = 0; at < wanted.length; at++) {
    const off = wanted[at]! - got[at]!
    sum += positive ? (off * off) / (wanted[at]! + Math.abs(got[at]!) + LEAST) : off * off
  }
  return sum
}
