import type { ModelProto } from '../codec/schema.ts'
import type { Feeds } from '../evaluate/tensors.ts'
import { topologicalOrder } from '../graph/index-graph.ts'
import { mainGraph } from '../graph/walk.ts'
import { applyMap, type Rows } from '../linear-algebra/gram.ts'
import { leastSquares } from '../linear-algebra/least-squares.ts'
import { type Keeps, keptPositions } from './cut.ts'
import { applyFit, type FitTarget, fitTarget } from './fit-target.ts'
import type { Consumer, Flow } from './flow.ts'
import { axisRows, drawnRows, everyColumn, type FloatValue, joinRows, patchRows, someColumns, tapsOf } from './rows.ts'
import { openTruncated } from './truncated.ts'

/** Unknowns of one system: beyond this a convolution is solved place by place of its kernel. */
const MOST_UNKNOWNS = 1536
/** Rows per unknown that a fit wants, and how many at least and at most. */
const ROWS_PER_UNKNOWN = 4
const FEWEST_ROWS = 4096
const MOST_ROWS = 16_384
const FEWEST_SAMPLES = 32
/** All rows of one system, as float32. */
const MOST_BYTES = 128 * 2 ** 20

export interface Refit {
  /** First output of the node whose weights were solved anew. */
  node: string
  /** Error of its output on rows the fit did not see, as a share of what it was after cutting alone; 1 when nothing helped. */
  error_share: number
}

interface Parts {
  original: ModelProto
  pruned: ModelProto
  flow: Flow
  keeps: Keeps
  samples: readonly Feeds[]
}

/** Consumers that lost channels, first ones first: each is fitted to what the ones before it, already fitted, give it. */
export function affectedConsumers({ original, flow, keeps }: Pick<Parts, 'original' | 'flow' | 'keeps'>): Consumer[] {
  const order = new Map(topologicalOrder(mainGraph(original)).map((node, at) => [node.output[0] ?? '', at]))
  const place = ({ node }: Consumer): number => order.get(node.output[0] ?? '') ?? 0
  return flow.consumers.filter(({ labels }) => labels.some((label) => !keeps(label))).toSorted((a, b) => place(a) - place(b))
}

/**
 * Solves the weights and bias of one consumer anew, so that on the samples it answers with the channels it has left what it answered
 * with all: least squares on what it still lacks, with a ridge that pulls towards its own weights. Changes the pruned model.
 * Undefined when its weights are shared or of a form that is not fitted.
 * Source: He et al., Channel Pruning for Accelerating Very Deep Neural Networks (2017), §3.1; without the relaxation.
 */
export async function refit(parts: Parts, consumer: Consumer): Promise<Refit | undefined> {
  const target = fitTarget(parts.pruned, consumer)
  if (!target) return undefined
  const rows = await collectRows(parts, consumer, target)
  if (!rows) return undefined
  const node = consumer.node.output[0] ?? ''
  return {
    node,
    error_share:
      target.taps > 1 && rows.inputs.width > MOST_UNKNOWNS ? await byTap(parts, target, rows) : await whole(parts, target, rows),
  }
}

interface System {
  inputs: Rows
  errors: Rows
}

async function whole({ pruned }: Parts, target: FitTarget, { inputs, errors }: System): Promise<number> {
  const fit = await leastSquares(inputs, errors, { intercept: target.bias !== undefined })
  if (!fit) return 1
  applyFit(pruned, target, fit)
  return fit.after / fit.before
}

/** One place of the kernel after the other, each on what those before have left: smaller systems, nearly as good. */
async function byTap({ pruned }: Parts, target: FitTarget, { inputs, errors }: System): Promise<number> {
  let left = errors
  let share = 1
  for (let tap = 0; tap < target.taps; tap++) {
    const seen = everyColumn(inputs, tap, target.taps)
    const fit = await leastSquares(seen, left, { intercept: target.bias !== undefined })
    if (!fit) continue
    applyFit(pruned, target, fit, tap)
    share *= fit.after / fit.before
    const { values, width } = await applyMap(seen, fit.weights)
    left = { width, values: left.values.map((error, at) => error - values[at]! - fit.intercept[at % width]!) }
  }
  return share
}

/** What the consumer sees in the pruned model, and what its output lacks there; undefined when its window cannot be unrolled. */
async function collectRows(parts: Parts, consumer: Consumer, target: FitTarget): Promise<System | undefined> {
  const { original, pruned, samples, flow, keeps } = parts
  const [input, output] = [consumer.input, consumer.node.output[0] ?? '']
  const outputs = flow.bound.get(consumer.weight)?.[outputAxis(consumer)]
  const kept = outputs ? keptPositions(outputs, keeps) : undefined
  const before = await openTruncated(original, [output])
  const after = await openTruncated(pruned, [input, output])
  try {
    const [inputs, errors]: [Rows[], Rows[]] = [[], []]
    let enough = samples.length
    for (const [sample, feeds] of samples.entries()) {
      if (sample >= enough) break
      const seen = await after.run(feeds)
      const wanted = (await before.run(feeds)).get(output)
      const [x, y] = [seen.get(input), seen.get(output)]
      if (!x || !y || !wanted) return undefined
      if (sample === 0) enough = samplesWanted(target, y, samples.length)
      const part = systemOf(target, { x, y, wanted, kept }, Math.ceil(rowsWanted(target) / enough), sample)
      if (!part) return undefined
      inputs.push(part.inputs)
      errors.push(part.errors)
    }
    return { inputs: joinRows(inputs), errors: joinRows(errors) }
  } finally {
    await before.release()
    await after.release()
  }
}

/** The axis of a two-dimensional or convolution weight that its outputs lie on. */
const outputAxis = ({ weight_axis }: Consumer): number => (weight_axis === 0 ? 1 : 0)

function rowsWanted(target: FitTarget): number {
  const unknowns = target.weight.dims.reduce((product, dim) => product * dim, 1) / target.outputs
  const wanted = Math.min(MOST_ROWS, Math.max(FEWEST_ROWS, unknowns * ROWS_PER_UNKNOWN))
  return Math.min(wanted, MOST_BYTES / 4 / (unknowns + target.outputs))
}

/** Samples to run: rows of one sample are alike, so several dozen, and as many as give the rows that are wanted. */
const samplesWanted = (target: FitTarget, output: FloatValue, samples: number): number =>
  Math.min(samples, Math.max(FEWEST_SAMPLES, Math.ceil(rowsWanted(target) / (output.values.length / target.outputs))))

/** The rows of one sample. */
function systemOf(
  target: FitTarget,
  { x, y, wanted, kept }: { x: FloatValue; y: FloatValue; wanted: FloatValue; kept: number[] | undefined },
  most: number,
  seed: number,
): System | undefined {
  const convolution = target.node.op_type === 'Conv'
  const drawn = drawnRows(y.values.length / target.outputs, most, seed)
  const take = (value: FloatValue) => axisRows(value, convolution ? 1 : value.dims.length - 1, drawn)
  const goal = take(wanted)
  const got = take(y)
  const { values } = kept && kept.length < goal.width ? someColumns(goal, kept) : goal
  const errors = { width: got.width, values: got.values.map((value, at) => values[at]! - value) }
  if (!convolution) return { inputs: take(x), errors }
  const taps = tapsOf(target.node, target.weight.dims, { input: x.dims, output: y.dims })
  return taps && { inputs: patchRows(x, taps, y.dims, drawn), errors }
}
