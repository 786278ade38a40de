import { InferenceSession, Tensor } from 'onnxruntime-node'
import { OnnxFault } from '../fault.ts'
import { generatedRow, inputPlans, type ShapeHints } from './inputs.ts'
import { portOf, toTensor } from './session-tensors.ts'
import type { Feeds } from './tensors.ts'

export interface GenerateOptions {
  most: number
  /** Wall-clock milliseconds that running all of them once may take, by the time of the first. */
  budget_ms: number
  /** The first seed; measurements use those from 0 on. */
  first_seed: number
  shapes?: ShapeHints
}

/** Bytes of inputs kept in memory. */
const MOST_BYTES = 64 * 2 ** 20
const FEWEST = 16

/**
 * Made-up rows that the model accepts, as many as the time and memory given allow, at least 16.
 * Runs the model in this process, which for foreign ones must be one that may die.
 * @throws OnnxFault unsupported when no generated input runs
 */
export async function generatedSamples(model_path: string, options: GenerateOptions): Promise<Feeds[]> {
  const session = await InferenceSession.create(model_path, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  })
  try {
    const ports = session.inputMetadata.map(portOf)
    for (const plan of inputPlans(ports)) {
      try {
        const row = (at: number) => generatedRow(ports, plan, options.first_seed + at, options.shapes)
        const first = row(0)
        const run_ms = await timedRun(session, first)
        if (run_ms === undefined) continue
        const bytes = Object.values(first).reduce((sum, value) => sum + ('bytes' in value ? value.bytes.length : 0), 1)
        const count = Math.min(
          options.most,
          Math.max(FEWEST, Math.floor(Math.min(options.budget_ms / run_ms, MOST_BYTES / bytes))),
        )
        return Array.from({ length: count }, (_, at) => (at === 0 ? first : row(at)))
      } catch {
        // The next plan's sizes may fit.
      }
    }
  } finally {
    await session.release()
  }
  throw new OnnxFault('unsupported', 'No generated input runs; supply calibration data')
}

/** Milliseconds of the second of two runs; undefined when all outputs are empty. */
async function timedRun(session: InferenceSession, feeds: Feeds): Promise<number | undefined> {
  const tensors = Object.fromEntries(Object.entries(feeds).map(([name, value]) => [name, toTensor(value)]))
  const answer = await session.run(tensors)
  if (!Object.values(answer).some((value) => value instanceof Tensor && value.dims.every((size) => size > 0))) return undefined
  const started = performance.now()
  await session.run(tensors)
  return Math.max(0.05, performance.now() - started)
}
