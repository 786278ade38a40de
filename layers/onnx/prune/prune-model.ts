import { rmSync } from 'node:fs'
import { loadModel, readModel } from '../codec/read-model.ts'
import type { ModelProto } from '../codec/schema.ts'
import { elementCount } from '../codec/tensor-values.ts'
import { encodeModel, writeModelFile } from '../codec/write-model.ts'
import { generatedSamples } from '../evaluate/generated-samples.ts'
import type { Feeds } from '../evaluate/tensors.ts'
import { OnnxFault } from '../fault.ts'
import { foldAffine } from '../graph/fold-batch-norm.ts'
import { foldConstants } from '../graph/fold-constants.ts'
import { mainGraph, walkTensors } from '../graph/walk.ts'
import { normalisedModel } from '../probe/normalise.ts'
import { allocateRemoval } from './allocate.ts'
import { inBatches } from './batches.ts'
import { cutChannels, type Keeps } from './cut.ts'
import { type ChannelGroup, groupChannels, type RefusedGroup } from './groups.ts'
import { zeroSmallest } from './magnitude.ts'
import { momentsOf, shapesOf } from './observe.ts'
import { affectedConsumers, type Refit, refit } from './reconstruct.ts'
import { traceChannels } from './trace.ts'

/** `structured`: whole channels, neurons and heads; `channels`, `heads`: one kind of them alone; the others set weights to 0. */
export const pruneStructures = ['structured', 'channels', 'heads', 'unstructured', '2:4'] as const
export type PruneStructure = (typeof pruneStructures)[number]

export interface PruneOptions {
  model_path: string
  candidate_path: string
  /** Share of each group's channels to remove, above 0 and below 1. Of no effect on `2:4`, which is one half. */
  sparsity: number
  structure: PruneStructure
  /** Feeds of calibration; none: channels are chosen by their weights alone and nothing is fitted. */
  samples: readonly Feeds[]
  /** Whether what is left is fitted to the original's answers; so unless told. */
  reconstruct?: boolean
  /** Wall-clock milliseconds for fitting; consumers beyond it keep their weights. */
  budget_ms?: number
}

export interface PrunedGroup {
  made_by: string[]
  kind: ChannelGroup['kind']
  channels: number
  kept: number
}

export interface PruneReport {
  notes: string[]
  groups: PrunedGroup[]
  refused: RefusedGroup[]
  refits: Refit[]
  /** Stored elements, after and before. */
  kept: { parameters: number; of: number }
}

const BUDGET_MS = 120_000
const LATENCY_WARNING =
  'zeros are stored and multiplied like any other weight: neither latency nor size changes, only what compression makes of it'

/**
 * Removes the channels, neurons and heads of attention that add least, or sets the least weights to 0, and fits what is left to what
 * the original answers on the samples. Inputs, outputs and their names stay. Runs the model in this process, which for foreign
 * models must be one that may die.
 * @throws OnnxFault unsupported when nothing can be removed, with the reasons by node
 */
export async function pruneModel(options: PruneOptions): Promise<PruneReport> {
  if (!(options.sparsity > 0 && options.sparsity < 1))
    throw new OnnxFault('unsupported', `Sparsity ${options.sparsity} is not usable; wanted above 0 and below 1`)
  const scratch_path = `${options.candidate_path}.normalised`
  try {
    if (options.structure === 'unstructured' || options.structure === '2:4') return zeroWeights(options)
    const model = (await normalisedModel(options.model_path, scratch_path)) ?? loadModel(options.model_path)
    await foldConstants(model)
    foldAffine(model)
    return await removeChannels(model, options)
  } finally {
    rmSync(scratch_path, { force: true })
  }
}

const parametersOf = (model: ModelProto): number => [...walkTensors(model)].reduce((sum, { dims }) => sum + elementCount(dims), 0)

function zeroWeights({ model_path, candidate_path, sparsity, structure }: PruneOptions): PruneReport {
  const model = loadModel(model_path)
  const of = parametersOf(model)
  const zeroed = zeroSmallest(model, structure === '2:4' ? { pattern: '2:4' } : { sparsity })
  if (zeroed.length === 0)
    throw new OnnxFault('unsupported', 'No MatMul, Gemm or Conv has a stored weight of 1024 elements or more')
  writeModelFile(model, candidate_path)
  const zeros = zeroed.reduce((sum, each) => sum + each.zeros, 0)
  const notes = [`${structure}: ${zeros} weights of ${zeroed.length} nodes are 0`, LATENCY_WARNING]
  return { notes, groups: [], refused: [], refits: [], kept: { parameters: of - zeros, of } }
}

async function removeChannels(original: ModelProto, options: PruneOptions): Promise<PruneReport> {
  const { sparsity, structure, candidate_path, model_path } = options
  const [probe] =
    options.samples.length > 0 ? options.samples : await generatedSamples(model_path, { most: 1, budget_ms: 0, first_seed: 0 })
  if (!probe) throw new OnnxFault('unsupported', 'No sample to learn the shapes of values from')
  const samples = await inBatches(original, options.samples)
  const flow = traceChannels(original, await shapesOf(original, probe))
  const { groups, refused } = groupChannels(flow)
  const wanted = groups.filter(({ kind }) => structure === 'structured' || kind === structure)
  const moments = await momentsOf(original, flow.consumers, samples)
  const going = allocateRemoval(original, flow, wanted, sparsity, moments)
  const removed = new Set(going.flat())
  const report = wanted.map(
    ({ made_by, kind, classes }, at): PrunedGroup => ({
      made_by,
      kind,
      channels: classes.length,
      kept: classes.length - (going[at]?.length ?? 0),
    }),
  )
  if (removed.size === 0) throw new OnnxFault('unsupported', `No channel can be removed: ${reasons(refused, report)}`)
  const keeps: Keeps = (label) => !removed.has(flow.labels.find(label))
  const pruned = readModel(encodeModel(original))
  cutChannels(pruned, flow, keeps)
  const fits =
    samples.length > 0 && options.reconstruct !== false
      ? await refitAll({ original, pruned, flow, keeps, samples }, options.budget_ms ?? BUDGET_MS)
      : { refits: [], late: 0 }
  await checkRuns(original, pruned, probe)
  const kept = { parameters: parametersOf(pruned), of: parametersOf(original) }
  writeModelFile(pruned, candidate_path)
  return {
    notes: notesOf(report, refused, fits, options.samples.length, kept),
    groups: report,
    refused,
    refits: fits.refits,
    kept,
  }
}

async function refitAll(parts: Parameters<typeof refit>[0], budget_ms: number): Promise<{ refits: Refit[]; late: number }> {
  const until = performance.now() + budget_ms
  const consumers = affectedConsumers(parts)
  const refits: Refit[] = []
  for (const [at, consumer] of consumers.entries()) {
    if (performance.now() > until) return { refits, late: consumers.length - at }
    const done = await refit(parts, consumer)
    if (done) refits.push(done)
  }
  return { refits, late: 0 }
}

/** A pruned model must answer what the original answers, in the same shapes. */
async function checkRuns(original: ModelProto, pruned: ModelProto, feeds: Feeds): Promise<void> {
  const shapes = async (model: ModelProto) => {
    const names = mainGraph(model).output.map(({ name }) => name ?? '')
    return shapesOf(model, feeds, names)
  }
  const [before, after] = [await shapes(original), await shapes(pruned)]
  for (const [name, dims] of before)
    if (String(after.get(name)) !== String(dims))
      throw new OnnxFault('unsupported', `Output "${name}" would have the shape [${after.get(name)}] instead of [${dims}]`)
}

const reasons = (refused: readonly RefusedGroup[], groups: readonly PrunedGroup[]): string =>
  [
    ...refused.slice(0, 5).map(({ made_by, reason }) => `what ${made_by[0]} makes ${reason}`),
    ...groups.slice(0, 5).map(({ made_by, channels }) => `${made_by[0]} has only ${channels}`),
  ].join('; ') || 'no weight makes channels'

function notesOf(
  groups: readonly PrunedGroup[],
  refused: readonly RefusedGroup[],
  { refits, late }: { refits: readonly Refit[]; late: number },
  samples: number,
  { parameters, of }: PruneReport['kept'],
): string[] {
  const cut = groups.filter(({ channels, kept }) => kept < channels)
  const sum = (pick: (group: PrunedGroup) => number) => cut.reduce((total, group) => total + pick(group), 0)
  const helped = refits.filter(({ error_share }) => error_share < 1)
  return [
    `kept ${sum(({ kept }) => kept)} of ${sum(({ channels }) => channels)} channels in ${cut.length} groups, ${parameters} of ${of} parameters`,
    samples === 0
      ? 'no samples: chosen by weights alone, nothing fitted'
      : `${helped.length} layers fitted on ${samples} samples`,
    ...(late > 0 ? [`${late} layers not fitted for want of time`] : []),
    ...(refused.length > 0
      ? [
          `left whole: ${refused
            .slice(0, 3)
            .map(({ made_by, reason }) => `${made_by[0]} ${reason}`)
            .join(', ')}${refused.length > 3 ? ` and ${refused.length - 3} more` : ''}`,
        ]
      : []),
  ]
}
