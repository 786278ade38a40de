import { InferenceSession, Tensor } from 'onnxruntime-node'
import { toTensors } from '../calibrate/tap.ts'
import type { ModelProto } from '../codec/schema.ts'
import { encodeModel } from '../codec/write-model.ts'
import { fidelityMeter } from '../evaluate/fidelity.ts'
import { fromTensor } from '../evaluate/session-tensors.ts'
import type { Feeds, TensorValue } from '../evaluate/tensors.ts'
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

async function answers(
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
  await answers(candidate, reference.samples.slice(0, count), (found, at) => meter.add(reference.outputs[at] ?? {}, found))
  return meter.figures().sqnr_db ?? 200
}
