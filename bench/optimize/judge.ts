import { isPlatformError } from '../../layers/core/contract/errors.ts'
import { wishesOf } from '../../layers/core/domain/accuracy-gate.ts'
import type { Fidelity, LatencyInterval, Measurement, TaskResult } from '../../layers/core/domain/optimization.ts'
import { folderArtifacts } from '../../layers/optimizers/search-files.ts'
import { localWorkbench } from '../../layers/optimizers/workbench.ts'
import type { Subject } from './subjects/subject.ts'

/** One file against another: the same judge, rows, threads and turns for everybody's candidates. */
export interface Judged {
  original: Measurement
  candidate: Measurement
  fidelity: Fidelity
  latency_interval?: LatencyInterval
  task?: TaskResult
}

export interface Judge {
  /** Why it cannot be judged (it does not load, or fails at a row), where it cannot. */
  compare(subject: Subject, original_path: string, candidate_path: string, budget_ms: number): Promise<Judged | string>
}

/** `scratch_dir` holds what measuring needs for the moment. */
export const judgeIn = (scratch_dir: string): Judge => ({
  compare: async (subject, original_path, candidate_path, budget_ms) => {
    const { calibration_path: calibration, evaluation_path: evaluation } = subject
    const given = { original: original_path, candidate: candidate_path, calibration, evaluation }
    const bench = localWorkbench({ artifacts: folderArtifacts(scratch_dir, given), optimizers: [], scratch_dir })
    const { class_output } = wishesOf(subject.metadata ?? {})
    const keys = { original: 'original', candidate: 'candidate', calibration: 'calibration', evaluation: 'evaluation' }
    try {
      return await bench.measure({ ...keys, task: subject.task, budget_ms, class_output, input_shapes: {} })
    } catch (error) {
      if (isPlatformError(error, 'model_error')) return error.message
      throw error
    }
  },
})

/** How many times faster the candidate is, in the same turns. */
export const speedUp = ({ original, candidate }: Pick<Judged, 'original' | 'candidate'>): number =>
  original.p50_ms / candidate.p50_ms
