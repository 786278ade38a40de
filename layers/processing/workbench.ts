import { basename, dirname } from 'node:path'
import type { SageMakerClient } from '@aws-sdk/client-sagemaker'
import * as z from 'zod'
import { awsFailure } from '../aws/failure.ts'
import { isPlatformError, PlatformError } from '../core/contract/errors.ts'
import type { Json } from '../core/domain/json.ts'
import { Fidelity, LatencyInterval, Measurement, TaskResult } from '../core/domain/optimization.ts'
import type { BuildOrder, MeasureOrder, Workbench } from '../core/ports/workbench.ts'
import { broken, digest, folderOf, type Jobs, jobPrefix, type ProcessingParts, type SeenJob } from './job.ts'
import { Order, Outcome, trainingSeconds } from './order.ts'
import { processingJobs } from './processing-jobs.ts'
import { trainingJobs } from './training-jobs.ts'

const RETRY_AFTER_S = 30
/** A job that AWS broke, or had no Spot instance for, is made once more. */
const MOST_JOBS = 2
const LONGEST_HERE_S = 540

const Built = z.object({ size_bytes: z.number(), sha256: z.string(), time_ms: z.number(), notes: z.array(z.string()) })
const Measured = z.object({
  original: Measurement,
  candidate: Measurement,
  fidelity: Fidelity,
  latency_interval: LatencyInterval.optional(),
  task: TaskResult.optional(),
})

/**
 * A workbench whose large work goes to SageMaker: instances that are rented for the minutes they work. Training longer than a step, or of a
 * large model, is a training job (Spot instances, checkpoints); other work on large models a processing job. A call whose job runs fails
 * with `work_pending`; repeated, it finds the job by its name, which is made of the order, and answers when it is done.
 */
export const processingWorkbench = (parts: ProcessingParts): Workbench => {
  let made: SageMakerClient | undefined
  const client = (): SageMakerClient => (made ??= parts.client())
  const isLarge = async (key: string): Promise<boolean> =>
    ((await parts.artifacts.stat(key))?.size_bytes ?? 0) > parts.larger_than_bytes
  return {
    build: async (order: BuildOrder, signal) => {
      const training_s = trainingSeconds(order.settings)
      const is_large = await isLarge(order.original)
      if (training_s > (parts.longer_than_s ?? LONGEST_HERE_S) || (is_large && training_s > 0))
        return trained(parts, client(), order)
      return is_large
        ? Built.parse((await inJob(parts, client(), processingJobs, { kind: 'build', order })).result)
        : parts.local.build(order, signal)
    },
    measure: async (order: MeasureOrder, signal) => {
      if (!(await isLarge(order.original))) return parts.local.measure(order, signal)
      const { result } = await inJob(parts, client(), processingJobs, { kind: 'measure', order })
      const { latency_interval, task, ...measured } = Measured.parse(result)
      return { ...measured, ...(latency_interval && { latency_interval }), ...(task && { task }) }
    },
    abandon: async (folder) => {
      for (const jobs of [processingJobs, trainingJobs]) await stopJobs(parts, client(), jobs, folder)
    },
  }
}

/** A training job leaves its candidate among its own results: it is brought to where the candidate belongs, checked on the way. */
const trained = async (parts: ProcessingParts, client: SageMakerClient, order: BuildOrder): ReturnType<Workbench['build']> => {
  const { result, job } = await inJob(parts, client, trainingJobs, { kind: 'build', order })
  const { size_bytes, sha256, notes, time_ms } = Built.parse(result)
  const bytes = await parts.artifacts.read(`${job.results}/${basename(order.candidate)}`)
  await parts.artifacts.put(order.candidate, bytes, { size_bytes, sha256 })
  return { size_bytes, sha256, time_ms, notes: [...notes, ...job.notes] }
}

interface Done {
  result: Json
  job: SeenJob
}

const inJob = async (parts: ProcessingParts, client: SageMakerClient, jobs: Jobs, given: Order): Promise<Done> => {
  const order = Order.parse(given)
  const base = `${jobPrefix(parts.stage, jobs.kind, dirname(order.order.candidate))}-${digest(JSON.stringify(order))}`
  const last = await lastJob(parts, client, jobs, base)
  if (last === undefined) return begin(parts, client, jobs, { base, attempt: 1 }, order)
  const { job, attempt, name } = last
  if (job.state === 'completed') return { result: await resultOf(parts, job), job }
  if (job.state === 'stopped') throw new PlatformError('cancelled', `${jobs.noun} ${name} was stopped`)
  if (job.state === 'running') throw pending(jobs, name)
  if (!job.again || attempt >= MOST_JOBS) throw broken(jobs.noun, name, job.why)
  return begin(parts, client, jobs, { base, attempt: attempt + 1 }, order)
}

const lastJob = async (
  parts: ProcessingParts,
  client: SageMakerClient,
  jobs: Jobs,
  base: string,
): Promise<{ job: SeenJob; attempt: number; name: string } | undefined> => {
  for (let attempt = MOST_JOBS; attempt >= 1; attempt -= 1) {
    const name = `${base}-${attempt}`
    const job = await jobs.describe(client, parts, name)
    if (job !== undefined) return { job, attempt, name }
  }
  return undefined
}

/** Always fails: with `work_pending` when the job was begun. Where the account has no Spot instances of the type, the next attempt is begun. */
const begin = async (
  parts: ProcessingParts,
  client: SageMakerClient,
  jobs: Jobs,
  { base, attempt }: { base: string; attempt: number },
  order: Order,
): Promise<never> => {
  const name = `${base}-${attempt}`
  // The job reads the bucket itself: what lies there compressed it could not open.
  await parts.artifacts.expand?.(order.order.original)
  await parts.artifacts.put(`${folderOf(name)}/order.json`, once(JSON.stringify(order)))
  try {
    await jobs.create(client, parts, { name, base, attempt }, order)
  } catch (error) {
    const no_spot =
      jobs.kind === 'training' && parts.spot !== false && attempt < MOST_JOBS && isPlatformError(error, 'unavailable')
    if (!no_spot) throw error
    return begin(parts, client, jobs, { base, attempt: attempt + 1 }, order)
  }
  throw pending(jobs, name)
}

const pending = ({ noun }: Jobs, name: string): PlatformError =>
  new PlatformError('work_pending', `${noun} ${name} is at work`, { retry_after_s: RETRY_AFTER_S })

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

const resultOf = async ({ artifacts }: ProcessingParts, { results }: SeenJob): Promise<Json> => {
  const pieces = await (await artifacts.read(`${results}/result.json`)).toArray()
  const outcome = Outcome.parse(JSON.parse(Buffer.concat(pieces).toString('utf8')))
  if (outcome.ok) return outcome.result
  throw new PlatformError(outcome.code, outcome.detail, { facts: outcome.facts })
}

const stopJobs = async (parts: ProcessingParts, client: SageMakerClient, jobs: Jobs, folder: string): Promise<void> => {
  const prefix = jobPrefix(parts.stage, jobs.kind, folder)
  for (const key of await parts.artifacts.list(`processing/${prefix}`)) await parts.artifacts.remove(key)
  try {
    for (const name of await jobs.running(client, prefix)) await jobs.stop(client, name)
  } catch (error) {
    throw awsFailure(error, `Stopping ${jobs.noun.toLowerCase()}s`)
  }
}
