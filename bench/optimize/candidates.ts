import { isDeepStrictEqual } from 'node:util'
import { isPlatformError } from '../../layers/core/contract/errors.ts'
import type { Fidelity, Measurement, PlannedAttempt } from '../../layers/core/domain/optimization.ts'
import { optimizers } from '../../layers/optimizers/index.ts'
import { folderArtifacts } from '../../layers/optimizers/search-files.ts'
import { localWorkbench } from '../../layers/optimizers/workbench.ts'
import { speedUp } from './judge.ts'
import { attemptName, type Searched } from './ours.ts'
import type { Bench } from './run-subject.ts'
import type { Subject } from './subjects/subject.ts'

/** A file of ours with what it was measured by. */
export interface Candidate {
  name: string
  path: string | undefined
  candidate: Measurement
  fidelity: Fidelity
  speed: number
}

/** What the search measured, published or not. */
export const triedCandidates = ({ result, files }: Searched): Candidate[] =>
  result.attempts.flatMap((attempt, place): Candidate[] => {
    const { original, candidate, fidelity } = attempt
    if (!original || !candidate || !fidelity) return []
    return [{ name: attemptName(attempt), path: files[place], candidate, fidelity, speed: speedUp({ original, candidate }) }]
  })

/** Quantized candidates that the search planned but never built, because others met the targets or its time was up; likeliest first. */
export const untriedPlans = ({ result: { plan, attempts } }: Searched): PlannedAttempt[] => {
  const tried = (planned: PlannedAttempt): boolean =>
    attempts.some(
      ({ name, settings, verdict, base }) =>
        name === planned.optimizer &&
        isDeepStrictEqual(settings, planned.settings) &&
        verdict !== 'skipped' &&
        base === undefined,
    )
  const order = ['static-int8', 'dynamic-int8']
  const rank = ({ optimizer }: PlannedAttempt): number => (order.includes(optimizer) ? order.indexOf(optimizer) : order.length)
  return plan.filter((planned) => planned.method === 'quantization' && !tried(planned)).toSorted((a, b) => rank(a) - rank(b))
}

/** Builds and judges one of them as the search would; undefined where it cannot be had. */
export const buildPlanned = async (
  bench: Bench,
  subject: Subject,
  { optimizer, settings }: PlannedAttempt,
  folder: string,
  place: number,
): Promise<Candidate | undefined> => {
  const key = `rest-${place}.onnx`
  const artifacts = folderArtifacts(folder, {
    original: subject.model_path,
    calibration: subject.calibration_path,
    evaluation: subject.evaluation_path,
  })
  const workbench = localWorkbench({ artifacts, optimizers, scratch_dir: folder })
  const data = { calibration: 'calibration', evaluation: 'evaluation' }
  try {
    await workbench.build({ optimizer, settings, original: 'original', candidate: key, ...data })
  } catch (error) {
    if (isPlatformError(error, 'model_error')) return undefined
    throw error
  }
  const { path } = await artifacts.asFile(key)
  const judged = await bench.judge.compare(subject, subject.model_path, path, bench.judge_ms)
  if (typeof judged === 'string') return undefined
  const name = `${attemptName({ name: optimizer, settings, verdict: 'rejected', reason: '' })} (not in the search)`
  return { name, path, candidate: judged.candidate, fidelity: judged.fidelity, speed: speedUp(judged) }
}
