import { createHash } from 'node:crypto'
import type { ModelProto } from '../codec/schema.ts'
import { encodeModel } from '../codec/write-model.ts'
import { type Checkpoint, readCheckpoint, writeCheckpoint } from './checkpoint.ts'
import type { TrainingData } from './data.ts'
import type { RunPlan } from './run.ts'

export interface Keeper {
  /** What an earlier run of the same thing left. */
  found: Checkpoint | undefined
  /** Writes the state where the last time is long enough ago. */
  offer(state: () => Checkpoint): void
}

/** Keeps the state of a run in a file; without a place for it, nowhere. */
export const startKeeper = (place: { path: string; every_ms: number } | undefined, identityOf: () => string): Keeper => {
  if (!place) return { found: undefined, offer: () => {} }
  const identity = identityOf()
  let last = performance.now()
  return {
    found: readCheckpoint(place.path, identity),
    offer(state) {
      if (performance.now() - last < place.every_ms) return
      writeCheckpoint(place.path, identity, state())
      last = performance.now()
    },
  }
}

/** What of a plan decides which weights come out. */
type Decisive = Pick<
  RunPlan,
  | 'loss'
  | 'optimizer'
  | 'schedule'
  | 'output'
  | 'parameters'
  | 'batch_norm'
  | 'fake_quantization'
  | 'steps'
  | 'seed'
  | 'held_out_share'
  | 'budget_ms'
>

/** A digest of the model, the samples and the plan: where any of them differs, a kept state is of no use. */
export const runIdentity = (model: ModelProto, data: TrainingData, plan: Decisive, batch: number): string => {
  const { loss, optimizer, schedule, output, parameters, batch_norm, fake_quantization, steps, seed, held_out_share } = plan
  const told = [loss, optimizer, schedule, output, parameters, batch_norm, fake_quantization, steps, seed, held_out_share]
  const digest = createHash('sha256')
  digest.update(JSON.stringify([...told, plan.budget_ms, batch, data.samples]))
  digest.update(encodeModel(model))
  for (const [name, column] of Object.entries(data.columns)) digest.update(name).update(column.bytes)
  return digest.digest('hex')
}
