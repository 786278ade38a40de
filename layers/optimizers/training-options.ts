import * as z from 'zod'
import type { Inspection } from '../core/domain/model.ts'
import { impassable } from '../onnx/train/differentiable.ts'

/** Rows, and bytes of them, that training reads. */
export const TRAINING_ROWS = { most: 32_768, most_bytes: 512 * 2 ** 20 }

/** Seconds of training that a candidate gets unless asked for otherwise. */
const [FEWEST_S, MOST_S] = [4, 20]
/** About 1,000 steps of 128 rows, forward and backward, at 20 GFLOP a second. */
const STEPS_ROWS = 1000 * 128
const FLOPS_PER_S = 2e10
const BACKWARD = 3

/** Seconds of training for a network that keeps this share of the multiplications. */
export function trainingSeconds(summary: Inspection, kept: number): number {
  const flops = summary.flops ?? 2 * (summary.parameter_count ?? 0)
  return Math.min(MOST_S, Math.max(FEWEST_S, Math.round((flops * kept * BACKWARD * STEPS_ROWS) / FLOPS_PER_S)))
}

/** Why a network cannot be trained as it is; undefined when it can, as far as its operators tell. */
export function untrainable(summary: Inspection): string | undefined {
  const unknown = impassable(summary.operators ?? {})
  if (unknown.length > 0) return `Its ${unknown.slice(0, 5).join(', ')} cannot be differentiated, so it cannot be trained`
  const outputs = summary.outputs?.length ?? 1
  return outputs === 1 ? undefined : `It has ${outputs} outputs; training compares one`
}

export const Seconds = z.number().gt(0).max(86_400)

/** What is wrong with the first member that is. */
export const wrongMember = ({ issues: [first] }: z.ZodError): string =>
  `metadata.${first?.path.map(String).join('.')} is not usable: ${first?.message}`
