import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Deployment } from '../../../layers/core/domain/deployment.ts'
import type { JsonObject } from '../../../layers/core/domain/json.ts'
import type { ExecutionStatus } from '../../../layers/core/ports/workflows.ts'
import { activateDeployment } from '../../../layers/core/usecases/activate-deployment.ts'
import { countsByStatus } from '../../../layers/core/usecases/count-by-status.ts'
import { createDeployment } from '../../../layers/core/usecases/create-deployment.ts'
import { deleteDeployment } from '../../../layers/core/usecases/delete-deployment.ts'
import { memoryOf } from '../../../layers/core/usecases/deployment-memory.ts'
import { deploymentKey, parseDeployment } from '../../../layers/core/usecases/deployment-records.ts'
import { hibernateDeployment } from '../../../layers/core/usecases/hibernate-deployment.ts'
import { inferDeployment } from '../../../layers/core/usecases/infer-deployment.ts'
import { readModelUse } from '../../../layers/core/usecases/model-use.ts'
import { repairInFlight } from '../../../layers/core/usecases/repair-in-flight.ts'
import { stopDeployment } from '../../../layers/core/usecases/stop-deployment.ts'
import { updateDeployment } from '../../../layers/core/usecases/update-deployment.ts'
import { sqliteRecords } from '../../../layers/records/sqlite.ts'
import {
  type DeploymentApp,
  owner,
  provisionSteps,
  putDocument,
  type RecordingDeployer,
  recordingDeployer,
  storedModel,
  wanted,
} from '../../support/deployment-world.ts'
import {
  gatedDeployer,
  outcomeOf,
  type Process,
  processOver,
  type Scheduler,
  scheduledWorkflows,
  scheduler,
  seeded,
} from '../../support/interleaving.ts'

/**
 * hibernate ∥ activate ∥ stop ∥ update ∥ delete ∥ invoke in an order the seed decides, over real records. A failing seed is in the
 * message; `SEED=<n>` runs it alone.
 */
const RUNS = 5000
const CRASHES = 1500
const PORTION = 500

const freshStore = () => sqliteRecords({ path: ':memory:', now: () => new Date() })
let store: ReturnType<typeof freshStore>
beforeEach(() => {
  store = freshStore()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: new Date('2026-11-20T00:00:00Z') })
})
afterEach(() => {
  store.close()
  vi.useRealTimers()
  Math.random = trueRandom
})

type Executions = Map<string, { input: JsonObject; status: ExecutionStatus }>
interface Run {
  organization_id: string
  random: () => number
  schedule: Scheduler
  fake: RecordingDeployer
  kept: Executions
}

const trueRandom = Math.random
let ids = 0
const nextId = (): number => {
  ids += 1
  return ids
}
const newRun = async (seed: number): Promise<Run> => {
  const random = seeded(seed)
  // Not a spy: that would keep every call.
  Math.random = random
  const organization_id = `org_${seed}_${nextId()}`
  await putDocument(store, 'model', storedModel({ organization_id }))
  await putDocument(store, 'model', storedModel({ id: 'mod_2', organization_id }))
  return { organization_id, random, schedule: scheduler(random), fake: recordingDeployer(), kept: new Map() }
}

/** The platform as one process sees it. */
const start = (run: Run, process: Process, fault_rate = 0): DeploymentApp & { resume(): void } => {
  const workflows = scheduledWorkflows(run.kept, () => provisionSteps(app))
  const fails = () => run.random() < fault_rate
  const quiet = () => undefined
  const app: DeploymentApp & { resume(): void } = {
    records: process.records,
    workflows,
    resume: workflows.resume,
    log: { info: quiet, warn: quiet, error: quiet },
    now: () => new Date(),
    newId: (prefix) => `${prefix}_${String(nextId()).padStart(9, '0')}`,
    config: { version: 't', public_url: 'http://host', max_upload_bytes: 1, wake_wait_ms: 60_000, scratch_dir: '/' },
    deployers: new Map([['serverless', gatedDeployer(run.fake.deployer, process, fails)]]),
    meter: { record: quiet, lastRequestAt: quiet, flush: async () => undefined },
    prices: { version: 't', tiers: () => [] },
  }
  return app
}

const ops = ['hibernate', 'activate', 'stop', 'update', 'delete', 'infer', 'infer', 'infer'] as const
type Op = (typeof ops)[number]

const perform = (app: DeploymentApp, organization_id: string, id: string, op: Op): Promise<unknown> => {
  const caller = { ...owner, organization_id }
  if (op === 'infer') {
    return inferDeployment(app, caller, {
      deployment_id: id,
      method: 'POST',
      path: '',
      headers: {},
      body: new Uint8Array(1),
      request_id: 'r',
    })
  }
  if (op === 'update') return updateDeployment(app, caller, id, { model_id: 'mod_2' })
  const verbs = { hibernate: hibernateDeployment, activate: activateDeployment, stop: stopDeployment, delete: deleteDeployment }
  return verbs[op](app, caller, id)
}

const stored = async (organization_id: string, id: string): Promise<Deployment | undefined> => {
  const found = await store.get(deploymentKey({ organization_id, id }))
  return found === undefined ? undefined : parseDeployment(found)
}

/** What must hold once everything has come to rest, whatever happened before. */
const assertAtRest = async (run: Run, id: string, note: string): Promise<Deployment> => {
  const deployment = await stored(run.organization_id, id)
  if (deployment === undefined) throw new Error(`${note}: the deployment is gone`)
  const { status, transition } = deployment
  expect({ status, transition }, note).toMatchObject({ transition: null })
  expect(['active', 'hibernated', 'stopped', 'failed', 'deleted'], note).toContain(status)
  if (status !== 'active') expect(run.fake.up.has(id), `${note}: ${status}, but it runs`).toBe(false)
  const used = await Promise.all(['mod_1', 'mod_2'].map((model) => readModelUse({ records: store }, run.organization_id, model)))
  const claims = used.flatMap((use, at) => (use.deployment_ids.includes(id) ? [`mod_${at + 1}`] : []))
  expect(claims, `${note}: claims`).toEqual(status === 'deleted' ? [] : [deployment.model_id])
  expect(await countsByStatus({ records: store }, run.organization_id, 'deployment'), `${note}: counts`).toEqual(
    status === 'deleted' ? {} : { [status]: 1 },
  )
  expect(run.fake.broken, note).toEqual([])
  return deployment
}

const seeds = (count: number) => Array.from({ length: count / PORTION }, (_, at) => at * PORTION + 1)
const seedsFrom = (first: number) =>
  process.env.SEED === undefined ? Array.from({ length: PORTION }, (_, at) => first + at) : [Number(process.env.SEED)]

const interleave = async (seed: number, fault_rate: number): Promise<void> => {
  const run = await newRun(seed)
  const app = start(run, processOver(store, run.schedule), fault_rate)
  const caller = { ...owner, organization_id: run.organization_id }
  const { id } = await plainly(run, createDeployment(app, caller, wanted()))
  // Some calls find nothing about the model in memory, as after a start, and must read between their look and the invocation.
  if (run.random() < 0.3) vi.spyOn(memoryOf(app).models, 'get').mockReturnValue(undefined)
  if (run.random() < 0.8)
    await plainly(run, outcomeOf(perform(app, run.organization_id, id, run.random() < 0.5 ? 'hibernate' : 'infer')))
  const chosen = Array.from({ length: 3 + Math.floor(run.random() * 4) }, () => ops[Math.floor(run.random() * ops.length)] as Op)
  const note = `seed ${seed}: ${chosen.join(' ∥ ')}`
  const outcomes = await plainly(run, Promise.all(chosen.map((op) => outcomeOf(perform(app, run.organization_id, id, op)))), note)
  await settle(run, app, id)
  const deployment = await assertAtRest(run, id, note)
  const allowed = new Set(['ok', 'illegal_transition', 'deployment_unavailable'])
  if (chosen.includes('delete')) allowed.add('not_found')
  if (fault_rate > 0) allowed.add('deployment_waking').add('not_found')
  outcomes.forEach((outcome, at) => {
    expect([...allowed], `${note}: ${chosen[at]} → ${outcome}`).toContain(outcome)
    const may_be_refused = fault_rate > 0 || chosen.includes('stop') || chosen.includes('delete')
    if (chosen[at] === 'infer' && !may_be_refused) expect(outcome, `${note}: lost wake-up`).toBe('ok')
  })
  if (fault_rate === 0) {
    expect(run.fake.refused, `${note}: called while asleep`).toEqual([])
    expect(deployment.status, note).not.toBe('failed')
    if (deployment.status === 'active') expect(run.fake.up.has(id), `${note}: active, but nothing runs`).toBe(true)
  }
}

/** Runs the work to its end; fails when nothing moves any more. */
const plainly = async <Answer>(run: Run, work: Promise<Answer>, note = ''): Promise<Answer> => {
  const end = await run.schedule.run(work)
  if (end === 'stuck') throw new Error(`${note}: nothing moves any more`)
  return work
}

/** Lets what runs in the background end: drives, pipelines, and what is due for repair. */
const settle = async (run: Run, app: DeploymentApp, id: string): Promise<void> => {
  for (let rounds = 0; rounds < 40; rounds += 1) {
    await run.schedule.run(new Promise((resolve) => setTimeout(resolve, 1000)))
    if (((await stored(run.organization_id, id))?.transition ?? null) === null) return
    vi.setSystemTime(Date.now() + 60_000)
    await plainly(run, repairInFlight(app))
  }
}

describe('thousands of interleavings', () => {
  it.each(seeds(RUNS))('keep the invariants, from seed %i', { timeout: 120_000 }, async (first) => {
    for (const seed of seedsFrom(first)) await interleave(seed, 0)
  })

  it.each(seeds(PORTION))('converge also when the deployer fails now and then, from seed %i', {
    timeout: 120_000,
  }, async (first) => {
    for (const seed of seedsFrom(first)) await interleave(seed + 1_000_000, 0.2)
  })
})

/** Kills the process after a number of writes, starts another one over the same records, repairs, and looks what became of it. */
const crash = async (seed: number): Promise<void> => {
  // A start looks at every active deployment of the store.
  store.close()
  store = freshStore()
  const run = await newRun(seed)
  const caller = { ...owner, organization_id: run.organization_id }
  const setUp = start(run, processOver(store, run.schedule))
  const { id } = await plainly(run, createDeployment(setUp, caller, wanted()))
  await plainly(run, outcomeOf(perform(setUp, run.organization_id, id, run.random() < 0.5 ? 'hibernate' : 'infer')))
  const first = processOver(store, run.schedule, Math.floor(run.random() * 9))
  const chosen = Array.from({ length: 2 }, () => ops[Math.floor(run.random() * ops.length)] as Op)
  const note = `seed ${seed}: ${chosen.join(' ∥ ')}`
  const dying = start(run, first)
  await run.schedule.run(Promise.all(chosen.map((op) => outcomeOf(perform(dying, run.organization_id, id, op)))))
  first.kill()
  vi.clearAllTimers()
  // What had reached the store before the death is still written.
  for (let turns = 0; turns < 5; turns += 1) await new Promise((resolve) => setImmediate(resolve))
  const before = await stored(run.organization_id, id)
  run.fake.up.clear()
  run.fake.broken.length = 0
  const fresh: Run = { ...run, schedule: scheduler(run.random), fake: recordingDeployer() }
  const next = start(fresh, processOver(store, fresh.schedule))
  await plainly(fresh, repairInFlight(next, { host_restarted: true }), note)
  next.resume()
  await settle(fresh, next, id)
  const after = await assertAtRest(fresh, id, `${note}, found ${before?.status}`)
  expect(after.status === 'deleted', note).toBe(before?.status === 'deleted')
  const answer = await plainly(fresh, outcomeOf(perform(next, run.organization_id, id, 'infer')), note)
  if (after.status === 'hibernated') expect(answer, note).toBe('ok')
}

describe('a crash between any two writes', () => {
  it.each(seeds(CRASHES))('converges after the next start, from seed %i', { timeout: 120_000 }, async (first) => {
    for (const seed of seedsFrom(first)) await crash(seed)
  })
})
