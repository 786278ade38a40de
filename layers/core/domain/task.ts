import * as z from 'zod'

/** How well a task is done, judged by labels. Higher is better for all but the errors (cer, mae, rmse). */
export const TaskMetric = z.enum(['accuracy', 'exact_match', 'f1', 'cer', 'map', 'mae', 'rmse', 'r2'])
export type TaskMetric = z.infer<typeof TaskMetric>

/** It stands in the record, beside what the search notes; 18,385 Chinese characters take 74,000. */
const MOST_ALPHABET = 80_000

/** What the labels of evaluation data mean. Every member may be left out: it then follows from labels and outputs. */
export const Task = z.strictObject({
  metric: TaskMetric.optional(),
  /** The output that answers; the first that fits when absent. */
  output: z.string().optional(),
  /** Characters by class, blank not among them, for `cer` and `exact_match` of texts read by CTC. */
  alphabet: z
    .array(z.string())
    .refine((characters) => JSON.stringify(characters).length <= MOST_ALPHABET, {
      error: `wanted at most ${MOST_ALPHABET} characters as JSON`,
    })
    .optional(),
  /** Class of the CTC blank. */
  blank: z.number().int().min(0).default(0),
})
export type Task = z.infer<typeof Task>
