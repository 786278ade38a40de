import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JsonObject } from '../../layers/core/domain/json.ts'
import { OptimizationTarget } from '../../layers/core/domain/optimization-target.ts'
import { type Task, TaskMetric } from '../../layers/core/domain/task.ts'
import { alphabetFrom, withLabels } from './labelled-data.ts'
import { choiceFlag, numberFlag, shapeFlag, UsageFault } from './values.ts'

/** The flags about rows, labels and the gate, as they were typed. */
export interface JudgingFlags {
  calibrate?: string | undefined
  eval?: string | undefined
  labels?: string | undefined
  metric?: string | undefined
  output?: string | undefined
  alphabet?: string | undefined
  blank?: string | undefined
  gate?: string | undefined
  'gate-sqnr'?: string | undefined
  'gate-loss'?: string | undefined
  'class-output'?: string | undefined
  shape?: string[] | undefined
  'allow-slower'?: boolean | undefined
}

export interface Judging {
  calibration_path: string | null
  evaluation_path: string | null
  accuracy_gate: JsonObject | null
  task: Partial<Task> | null
  metadata: JsonObject
}

const gateFrom = ({ gate, 'gate-sqnr': sqnr, 'gate-loss': loss }: JudgingFlags): JsonObject | null => {
  const parts = {
    ...(gate !== undefined && { top1_agreement: numberFlag('gate', gate, 0, 1) }),
    ...(sqnr !== undefined && { sqnr_db: numberFlag('gate-sqnr', sqnr, -200, 200) }),
    ...(loss !== undefined && { task_loss: numberFlag('gate-loss', loss, 0, Number.POSITIVE_INFINITY) }),
  }
  return Object.keys(parts).length > 0 ? parts : null
}

const taskFrom = ({ metric, output, alphabet, blank }: JudgingFlags): Partial<Task> | null => {
  const parts = {
    ...(metric !== undefined && { metric: choiceFlag('metric', metric, TaskMetric.options) }),
    ...(output !== undefined && { output }),
    ...(alphabet !== undefined && { alphabet: alphabetFrom(alphabet) }),
    ...(blank !== undefined && { blank: Math.floor(numberFlag('blank', blank, 0, Number.MAX_SAFE_INTEGER)) }),
  }
  return Object.keys(parts).length > 0 ? parts : null
}

const metadataFrom = ({ 'class-output': output, shape = [], 'allow-slower': slower }: JudgingFlags): JsonObject => ({
  ...(output !== undefined && { class_output: output === 'none' ? null : output }),
  ...(shape.length > 0 && { input_shapes: Object.fromEntries(shape.map((text) => shapeFlag('shape', text))) }),
  ...(slower && { allow_slower: true }),
})

/**
 * Reads the flags, joins labels to rows where they come in two files, and gives all of it to `work`; what had to be made for that is
 * gone afterwards. Fails with UsageFault naming the flag.
 */
export async function withJudging<Answer>(flags: JudgingFlags, work: (judging: Judging) => Promise<Answer>): Promise<Answer> {
  const { calibrate = null, eval: evaluation = null, labels } = flags
  const judging = {
    calibration_path: calibrate,
    accuracy_gate: gateFrom(flags),
    task: taskFrom(flags),
    metadata: metadataFrom(flags),
  }
  if (labels === undefined) return work({ ...judging, evaluation_path: evaluation })
  if (evaluation === null) throw new UsageFault('--labels wants rows to belong to; give them with --eval')
  const folder = await mkdtemp(join(tmpdir(), 'aideploy-labels-'))
  try {
    const as_text = flags.metric === 'cer' || flags.alphabet !== undefined
    return await work({
      ...judging,
      evaluation_path: await withLabels({ rows_path: evaluation, labels_path: labels, as_text }, folder),
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Fails with UsageFault naming what targets there are. */
export const targetFlag = (text = 'this-machine'): string => {
  const parsed = OptimizationTarget.safeParse(text)
  if (parsed.success) return parsed.data
  throw new UsageFault(`--target ${JSON.stringify(text)} is not usable; ${parsed.error.issues[0]?.message}`)
}
