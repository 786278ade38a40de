import * as z from 'zod'
import type { JsonObject } from './json.ts'
import { Task } from './task.ts'

/** What a candidate must keep to be published. Set by `metadata.accuracy_gate`: a number is the top-1 agreement. */
const Gate = z.strictObject({
  top1_agreement: z.number().min(0).max(1).default(0.99),
  sqnr_db: z.number().min(-200).max(200).default(20),
  /** How much worse the task metric may be, in its own unit (a share for accuracy, F1 and CER), where labels are supplied. */
  task_loss: z.number().min(0).default(0.01),
})
export const AccuracyGate = z.union([
  z
    .number()
    .min(0)
    .max(1)
    .transform((top1_agreement) => Gate.parse({ top1_agreement })),
  Gate,
])
export type AccuracyGate = z.output<typeof AccuracyGate>
/** As it is asked for: without what it means, so that a schema of it can be shown. */
export const AccuracyGateAsked = z.union([z.number().min(0).max(1), Gate.partial()])

/** The members of an optimisation's metadata that the platform reads; all others are the caller's alone. */
export const OptimizationWishes = z.looseObject({
  precision: z.string().optional(),
  /** Share of channels, neurons or weights that pruning removes. */
  sparsity: z.number().gt(0).lt(1).optional(),
  accuracy_gate: AccuracyGate.optional(),
  allow_slower: z.boolean().optional(),
  class_output: z.string().nullable().optional(),
  task: Task.optional(),
  input_shapes: z.record(z.string(), z.array(z.number().int().min(1)).max(16)).optional(),
})
export type OptimizationWishes = z.output<typeof OptimizationWishes>

/** Metadata as wishes; what was admitted at the door parses again. */
export const wishesOf = (metadata: JsonObject): OptimizationWishes => OptimizationWishes.parse(metadata)
export const gateOf = (metadata: JsonObject): AccuracyGate => wishesOf(metadata).accuracy_gate ?? Gate.parse({})

/** Metadata with what was asked beside it, which wins: what optimizers and judges read. */
export const askedMetadata = ({
  metadata,
  accuracy_gate,
  task,
}: {
  metadata: JsonObject
  accuracy_gate?: number | JsonObject | null
  task?: Task | null
}): JsonObject => ({ ...metadata, ...(accuracy_gate != null && { accuracy_gate }), ...(task != null && { task }) })
