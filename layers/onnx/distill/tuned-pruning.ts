import { rmSync } from 'node:fs'
import { type PruneOptions, pruneModel } from '../prune/prune-model.ts'
import { trainHere, trainingNote } from './in-process.ts'
import type { TrainingJob } from './job.ts'

export interface TunedPruning extends PruneOptions {
  /** Samples to train with; those of `samples` choose channels and fit layers. */
  rows: readonly PruneOptions['samples'][number][]
  classes?: readonly number[] | undefined
  /** How often a part of the channels goes, each time followed by training. */
  rounds: number
  /** Wall-clock milliseconds of training, all rounds together. */
  fine_tune_ms: number
  threads: number
  /** Where the state of the training of a round is kept; undefined: nowhere. */
  checkpoint?: ((round: number) => TrainingJob['checkpoint']) | undefined
}

/** Weights near where they should be: fitted by least squares, not drawn. */
const RATE = 1e-3
/** Times each row is seen at most: more of the same rows only makes the network remember them. */
const MOST_EPOCHS = 40
const BATCH = 128
/** The last round leaves the most to make good for. */
const LAST_ROUND_SHARE = 0.5

/**
 * Prunes in rounds: a part of the channels goes, the layers after them are fitted by least squares, then all weights are trained to
 * answer as the original does; again, until the sparsity asked for. The candidate is pruned from the one of the round before.
 * Runs models in this process, which for foreign ones must be one that may die.
 * @throws OnnxFault unsupported: nothing to remove, or a node without gradient by name
 * Source: Molchanov et al., Pruning Convolutional Neural Networks for Resource Efficient Inference, arXiv 1611.06440 (prune, tune, again).
 */
export async function pruneAndTune(options: TunedPruning): Promise<{ notes: string[] }> {
  const { model_path, candidate_path, rounds, sparsity, fine_tune_ms } = options
  const notes: string[] = []
  const places = Array.from({ length: rounds }, (_, round) => {
    const pruned_path = `${candidate_path}.round-${round}`
    return { round, pruned_path, tuned_path: round === rounds - 1 ? candidate_path : `${pruned_path}.tuned` }
  })
  const each = 1 - (1 - sparsity) ** (1 / rounds)
  let from = model_path
  try {
    for (const { round, pruned_path, tuned_path } of places) {
      const last = round === rounds - 1
      const pruned = await pruneModel({ ...options, model_path: from, candidate_path: pruned_path, sparsity: each })
      const share = rounds === 1 ? 1 : last ? LAST_ROUND_SHARE : (1 - LAST_ROUND_SHARE) / (rounds - 1)
      notes.push(...(last ? pruned.notes : pruned.notes.slice(0, 1)))
      notes.push(await tune(options, { round, pruned_path, tuned_path, budget_ms: share * fine_tune_ms }))
      from = tuned_path
    }
    return { notes }
  } finally {
    for (const { pruned_path, tuned_path } of places)
      for (const path of [pruned_path, tuned_path]) if (path !== candidate_path) rmSync(path, { force: true })
  }
}

interface Round {
  round: number
  pruned_path: string
  tuned_path: string
  budget_ms: number
}

async function tune(options: TunedPruning, { round, pruned_path, tuned_path, budget_ms }: Round): Promise<string> {
  const { rows, classes, threads, checkpoint, model_path } = options
  const batch = Math.min(BATCH, rows.length)
  const steps = Math.ceil((MOST_EPOCHS * rows.length) / batch)
  const trained = await trainHere(
    {
      candidate_path: tuned_path,
      data: { rows, classes },
      batch,
      steps,
      budget_ms,
      threads,
      checkpoint: checkpoint?.(round),
    },
    model_path,
    { kind: 'given', model_path: pruned_path },
    RATE,
  )
  return trainingNote(trained)
}
