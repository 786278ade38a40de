import { InferenceSession, Tensor } from 'onnxruntime-node'
import type { ModelProto } from '../codec/schema.ts'
import { encodeModel } from '../codec/write-model.ts'
import { toTensor } from '../evaluate/session-tensors.ts'
import type { Feeds } from '../evaluate/tensors.ts'
import { OnnxFault } from '../fault.ts'
import { isPlain } from '../graph/index-graph.ts'
import { mainGraph } from '../graph/walk.ts'

/** Values fetched together take this much at most, measured on the first sample. */
const GROUP_BYTES = 128 * 2 ** 20
/** Values fetched together before anything is known of their sizes. */
const FIRST_GROUP = 16

export interface TapOptions {
  /** Which values; all of the outermost graph when absent. Names the graph does not compute are left out. */
  names?: readonly string[]
  group_bytes?: number
}

export type TapVisit = (name: string, tensor: Tensor, sample: number) => void | Promise<void>

/** Every value the outermost graph computes. Stored ones and those inside sub-graphs, which run any number of times, are left out. */
export const computedValues = (model: ModelProto): string[] =>
  mainGraph(model).node.flatMap((node) => (isPlain(node, 'Constant') ? [] : node.output.filter((name) => name !== '')))

/** The same model with these values as outputs; onnxruntime needs their names alone. */
export function withOutputs(model: ModelProto, names: readonly string[]): ModelProto {
  const graph = mainGraph(model)
  return { ...model, graph: { ...graph, output: names.map((name) => ({ name, metadata_props: [] })) } }
}

export const openSession = (bytes: Uint8Array): Promise<InferenceSession> =>
  InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
    extra: { session: { disable_prepacking: '1' } },
  })

export const toTensors = (feeds: Feeds): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(feeds).map(([name, value]) => [name, toTensor(value)]))

/** Runs samples with these values as outputs and shows each. Answers the bytes each took at most. */
async function runGroup(
  model: ModelProto,
  names: readonly string[],
  samples: readonly Feeds[],
  visit: TapVisit,
  first_sample: number,
): Promise<Map<string, number>> {
  const sizes = new Map<string, number>()
  const session = await openSession(encodeModel(withOutputs(model, names)))
  try {
    for (const [at, feeds] of samples.entries()) {
      const answer = await runSample(session, feeds, first_sample + at)
      for (const [name, value] of Object.entries(answer)) {
        if (!(value instanceof Tensor)) continue
        const bytes = ArrayBuffer.isView(value.data) ? value.data.byteLength : 0
        sizes.set(name, Math.max(bytes, sizes.get(name) ?? 0))
        await visit(name, value, first_sample + at)
      }
    }
  } finally {
    await session.release()
  }
  return sizes
}

async function runSample(session: InferenceSession, feeds: Feeds, sample: number): Promise<InferenceSession.OnnxValueMapType> {
  try {
    return await session.run(toTensors(feeds))
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    throw new OnnxFault('unsupported', `Sample ${sample} cannot be run: ${said}`, error)
  }
}

/**
 * Shows values of a model, sample after sample: inputs first, then what the graph computes, fetched in groups, because a run that
 * keeps every value at once may need a hundred times the memory of a plain one. Each group runs the whole model. Runs in this
 * process, which for foreign models must be one that may die.
 * @throws OnnxFault unsupported when a sample does not run
 */
export async function eachTap(
  model: ModelProto,
  samples: readonly Feeds[],
  visit: TapVisit,
  options: TapOptions = {},
): Promise<void> {
  const [first, ...rest] = samples
  if (!first) throw new OnnxFault('unsupported', 'Calibration needs at least one sample')
  const wanted = options.names && new Set(options.names)
  for (const [at, feeds] of samples.entries())
    for (const [name, value] of Object.entries(feeds)) if (!wanted || wanted.has(name)) await visit(name, toTensor(value), at)
  const names = computedValues(model).filter((name) => !wanted || wanted.has(name))
  const limit = options.group_bytes ?? GROUP_BYTES
  const sizes = new Map<string, number>()
  for (let at = 0, width = FIRST_GROUP; at < names.length; ) {
    const group = names.slice(at, at + width)
    const seen = await runGroup(model, group, [first], visit, 0)
    for (const [name, bytes] of seen) sizes.set(name, bytes)
    at += width
    // Larger groups as long as four of this one would still fit.
    const bytes = [...seen.values()].reduce((sum, size) => sum + size, 0)
    width = bytes * 4 < limit ? width * 2 : Math.max(1, Math.floor((width * limit) / Math.max(1, bytes) / 2))
  }
  if (rest.length === 0) return
  for (const group of groupsBySize(names, sizes, limit)) await runGroup(model, group, rest, visit, 1)
}

/** Consecutive names whose sizes add up to no more than `limit`; one alone may be larger. */
export function groupsBySize(names: readonly string[], sizes: ReadonlyMap<string, number>, limit: number): string[][] {
  const groups: string[][] = []
  let room = 0
  for (const name of names) {
    const size = sizes.get(name) ?? 0
    if (groups.length === 0 || size > room) {
      groups.push([])
      room = limit
    }
    groups.at(-1)!.push(name)
    room -= size
  }
  return groups
}
