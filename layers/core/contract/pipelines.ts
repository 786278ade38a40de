import { PlatformError } from './errors.ts'

/**
 * The pipelines, in three words: `step(name)`, `each(list, …steps)`, `lastly(step)`.
 * Folded to Step Functions by `lib/constructs/pipeline-machine.ts` and run in process by `layers/workflows/in-process.ts`;
 * a step's code is `functions/pipeline/<name>.ts`.
 */

export type PipelineNode =
  | {
      kind: 'step'
      name: string
      timeout_s: number
      memory_mb: number
      /** Room for files below /tmp: copies of the artifacts it works on. */
      ephemeral_mb: number
      retries: number
      /** Capabilities of this step alone, beyond the pipeline's. */
      needs: readonly string[]
    }
  | { kind: 'each'; list: string; steps: StepNode[] }
  | { kind: 'lastly'; step: StepNode }
export type StepNode = Extract<PipelineNode, { kind: 'step' }>

export interface PipelineRow {
  id: string
  summary: string
  /** Capabilities its steps need, as `port:verb`; `lib/` turns them into grants. */
  needs: readonly string[]
  nodes: readonly PipelineNode[]
}

/**
 * Whether repeating a failed step is pointless: the caller's or the model's fault (4xx) stays one, except where the answer depends on
 * who else is at work. Both folds ask this before they spend `retries`; waits between attempts are 1, 2, 4 … seconds.
 */
export const isFinal = (error: unknown): boolean =>
  error instanceof PlatformError && error.status < 500 && !['version_conflict', 'rate_limited', 'overloaded'].includes(error.code)

/** Work that goes on elsewhere (a processing job): asking again is no failed attempt. Both folds wait and ask for at most a day. */
export const isPending = (error: unknown): boolean => error instanceof PlatformError && error.code === 'work_pending'
export const pendingWait_s = 30
export const pendingLimit_s = 86_400

export const step = (name: string, limits: Partial<Omit<StepNode, 'kind' | 'name'>> = {}): StepNode => ({
  kind: 'step',
  name,
  timeout_s: 60,
  memory_mb: 512,
  ephemeral_mb: 512,
  retries: 2,
  needs: [],
  ...limits,
})
/** Runs the steps once for every element of `state[list]`, one after another; the answers replace `state[list]`. */
export const each = (list: string, ...steps: StepNode[]): PipelineNode => ({ kind: 'each', list, steps })
/** Always runs, last, whatever happened before. */
export const lastly = (last: StepNode): PipelineNode => ({ kind: 'lastly', step: last })

const files = ['artifacts:read', 'artifacts:write'] as const
/** Steps whose child processes open models. */
const runtime = ['onnxruntime:load'] as const
/** Steps that take minutes: they ask first whether somebody has cancelled, and hand models too large for a function to a processing job. */
const bench = [...runtime, 'records:write', ...files, 'workflows:status', 'processing:run'] as const

export const pipelines = {
  'optimize-model': {
    id: 'optimize-model',
    summary: 'Builds and measures candidates of a model and publishes the best acceptable one',
    needs: ['records:read'],
    nodes: [
      step('inspect-original', { timeout_s: 300, memory_mb: 3008, ephemeral_mb: 3072, needs: ['artifacts:read'] }),
      step('plan-candidates', { needs: ['records:write'] }),
      each(
        'candidates',
        step('build-candidate', { timeout_s: 900, memory_mb: 8192, ephemeral_mb: 8192, retries: 1, needs: bench }),
        step('measure-candidate', { timeout_s: 900, memory_mb: 8192, ephemeral_mb: 8192, retries: 1, needs: bench }),
      ),
      step('choose-candidate', { needs: ['records:write'] }),
      step('publish-optimized', { timeout_s: 300, memory_mb: 3008, ephemeral_mb: 3072, needs: ['records:write', ...files] }),
      lastly(step('clean-up-optimization', { retries: 5, needs: ['records:write', 'artifacts:remove', 'processing:end'] })),
    ],
  },
  'provision-deployment': {
    id: 'provision-deployment',
    summary: 'Brings a deployment that is creating or updating to its newest revision',
    needs: ['records:read', 'records:write'],
    nodes: [
      step('deploy-revision', {
        timeout_s: 600,
        memory_mb: 5120,
        ephemeral_mb: 10_240,
        needs: [...runtime, ...files, 'deployers:deploy'],
      }),
      lastly(step('settle-deployment', { retries: 5 })),
    ],
  },
  'drive-transition': {
    id: 'drive-transition',
    summary:
      'Carries out a deployment’s transition where the answering process may not live long enough: its deployer’s verb, then the record',
    needs: [
      'records:read',
      'records:write',
      'artifacts:read',
      'artifacts:write',
      'deployers:deploy',
      'deployers:hibernate',
      'deployers:activate',
      'deployers:undeploy',
      'deployers:shift',
    ],
    nodes: [step('carry-out-transition', { timeout_s: 900, memory_mb: 3008, ephemeral_mb: 10_240, needs: runtime })],
  },
} as const satisfies Record<string, PipelineRow>

export type PipelineId = keyof typeof pipelines
