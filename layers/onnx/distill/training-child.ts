import { isRunFault } from '../evaluate/fault.ts'
import { ArrayFault } from '../evaluate/npy.ts'
import { dieWithParent } from '../evaluate/orphan-guard.ts'
import { isOnnxFault } from '../fault.ts'
import type { TrainingRequest } from './job.ts'
import { type JobRun, openJob } from './run-job.ts'

/** The process that trains one model. Started, limited and ended by `train-apart.ts`. */

let run: JobRun | undefined

const answer = async (request: TrainingRequest): Promise<object> => {
  if (request.kind === 'open') {
    run = await openJob(request.job)
    return { opened: run.opened }
  }
  if (!run) throw new Error('No training job is open')
  if (request.kind === 'advance') return { advanced: await run.advance(request.until_step, request.limit_ms) }
  return { finished: await run.finish() }
}

const kindOf = (error: unknown): string =>
  isOnnxFault(error) ? error.code : error instanceof ArrayFault ? 'arrays' : isRunFault(error) ? error.reason : 'fault'

dieWithParent()
process.on('message', async ({ id, ...request }: TrainingRequest & { id: number }) => {
  try {
    process.send?.({ id, ok: true, ...(await answer(request)) })
  } catch (error) {
    process.send?.({ id, ok: false, kind: kindOf(error), detail: error instanceof Error ? error.message : String(error) })
  }
})
