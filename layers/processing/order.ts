import * as z from 'zod'
import { type Json, JsonObject, JsonValue } from '../core/domain/json.ts'
import { Task } from '../core/domain/task.ts'

/** What a job is told, `order.json`; artifact keys name the files beside it. */
export const Order = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('build'),
    order: z.object({
      optimizer: z.string(),
      settings: JsonObject,
      original: z.string(),
      candidate: z.string(),
      calibration: z.string().nullable(),
      evaluation: z.string().nullable().optional(),
    }),
  }),
  z.object({
    kind: z.literal('measure'),
    order: z.object({
      original: z.string(),
      candidate: z.string(),
      calibration: z.string().nullable(),
      evaluation: z.string().nullable().optional(),
      task: Task.optional(),
      budget_ms: z.number().optional(),
      thorough: z.boolean().optional(),
      hopeless: z.object({ sqnr_db: z.number(), top1_agreement: z.number(), task_loss: z.number().optional() }).optional(),
      class_output: z.string().nullable().optional(),
      input_shapes: z.record(z.string(), z.array(z.number())),
    }),
  }),
])
export type Order = z.infer<typeof Order>

/** What it answers, `result.json`; a fault is the model's, everything else fails the job itself. */
export const Outcome = z.union([
  z.object({ ok: z.literal(true), result: JsonValue }),
  z.object({ ok: z.literal(false), code: z.enum(['model_error', 'invalid_request']), detail: z.string(), facts: JsonObject }),
])
export type Outcome = z.infer<typeof Outcome>

export type Role = 'order' | 'runtime' | 'original' | 'candidate' | 'calibration' | 'evaluation'

/** Files an order reads, by role; a role without one is null. */
export const inputsOf = ({
  kind,
  order,
}: Order): Record<'original' | 'candidate' | 'calibration' | 'evaluation', string | null> => ({
  original: order.original,
  // A build makes it.
  candidate: kind === 'measure' ? order.candidate : null,
  calibration: order.calibration,
  evaluation: order.evaluation ?? null,
})

/** Folders of a job below its root, which is `/opt/ml` in SageMaker's containers. */
export interface Layout {
  input(role: Role): string
  result: string
  candidate: string
  /** What SageMaker shows as the reason of a failure. */
  fault: string
  /** Kept and brought back when the job is interrupted. */
  checkpoints?: string
}

export const layouts = {
  processing: {
    input: (role) => `processing/input/${role}`,
    result: 'processing/output/result',
    candidate: 'processing/output/candidate',
    fault: 'output/message',
  },
  /** Channels lie below `input/data`; what is in `model` at the end is taken. */
  training: {
    input: (role) => `input/data/${role}`,
    result: 'model',
    candidate: 'model',
    fault: 'output/failure',
    checkpoints: 'checkpoints',
  },
} as const satisfies Record<string, Layout>
export type JobKind = keyof typeof layouts

/** Seconds an optimizer was told to train for; 0 for those that do not. */
export const trainingSeconds = ({ budget_s, fine_tune_s, rounds }: JsonObject): number =>
  seconds(budget_s) + seconds(fine_tune_s) * Math.max(1, seconds(rounds))
const seconds = (value: Json | undefined): number => (typeof value === 'number' && value > 0 ? value : 0)
