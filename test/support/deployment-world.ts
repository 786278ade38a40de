import * as z from 'zod'
import { type ErrorCode, PlatformError } from '../../layers/core/contract/errors.ts'
import { pipelines } from '../../layers/core/contract/pipelines.ts'
import { CreateDeployment } from '../../layers/core/contract/routes/deployments.ts'
import type { Deployment } from '../../layers/core/domain/deployment.ts'
import type { Model } from '../../layers/core/domain/model.ts'
import type { Principal } from '../../layers/core/domain/principal.ts'
import type { InferenceSample } from '../../layers/core/domain/usage.ts'
import type { App } from '../../layers/core/ports/app.ts'
import { type Deployer, defineDeployer, type InferenceRequest } from '../../layers/core/ports/deployer.ts'
import type { Records } from '../../layers/core/ports/records.ts'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { carryOutTransition } from '../../layers/core/usecases/carry-out-transition.ts'
import { createDeployment } from '../../layers/core/usecases/create-deployment.ts'
import { deployRevision } from '../../layers/core/usecases/deploy-revision.ts'
import { readAnyDeployment } from '../../layers/core/usecases/deployment-records.ts'
import type { InferenceCall } from '../../layers/core/usecases/infer-deployment.ts'
import { ProvisionInput } from '../../layers/core/usecases/provision-input.ts'
import { settleDeployment } from '../../layers/core/usecases/settle-deployment.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { inProcessWorkflows } from '../../layers/workflows/in-process.ts'

/** What the use-cases of deployments need, so that a test names nothing else. */
export type DeploymentApp = Pick<
  App,
  'records' | 'now' | 'newId' | 'log' | 'config' | 'workflows' | 'deployers' | 'meter' | 'prices'
>

export type Verb = 'deploy' | 'activate' | 'hibernate' | 'undeploy' | 'infer'

/** A deployer that keeps its instances in a map and notes every call; tests make it slow or make it fail. */
export interface RecordingDeployer {
  deployer: Deployer
  calls: { verb: Verb; id: string; revision: number }[]
  /** By deployment id, the revision that is up. */
  up: Map<string, number>
  undeployed: Set<string>
  falling_asleep: Set<string>
  broken: string[]
  /** Ids of calls that came while nothing was up. */
  refused: string[]
  count(verb: Verb, id?: string): number
  /** Awaited at the start and at the end of every verb; may throw. */
  pause: (verb: Verb, id: string, at: 'begin' | 'end') => Promise<void>
  requests: InferenceRequest[]
}

const usage = { compute_us: 5, cpu_us: 4, cold: false, init_us: 0, memory_bytes: 1000, batch_size: 1 }

export const recordingDeployer = (): RecordingDeployer => {
  const activating = new Map<string, number>()
  const noted = (verb: Verb, { id, revision }: Deployment) => self.calls.push({ verb, id, revision })
  const self: RecordingDeployer = {
    calls: [],
    up: new Map(),
    undeployed: new Set(),
    falling_asleep: new Set(),
    broken: [],
    refused: [],
    requests: [],
    count: (verb, id) => self.calls.filter((call) => call.verb === verb && (id === undefined || call.id === id)).length,
    pause: async () => undefined,
    deployer: defineDeployer({
      type: 'serverless',
      summary: 'for tests',
      settings: z.object({ resource_requirements: z.looseObject({ gpu: z.null('no GPU here, wanted null') }) }),
      capabilities: { frameworks: ['onnx'], scales_to_zero: true, gpu: false, max_memory_bytes: 8 * 2 ** 30, max_timeout_s: 900 },
      needs: [],
      deploy: async ({ deployment }) => {
        noted('deploy', deployment)
        await self.pause('deploy', deployment.id, 'begin')
        self.up.set(deployment.id, deployment.revision)
        self.undeployed.delete(deployment.id)
        await self.pause('deploy', deployment.id, 'end')
        return { revision: deployment.revision }
      },
      status: async ({ deployment }) => ({ ready: self.up.has(deployment.id), instances: 1 }),
      infer: async ({ deployment }, request) => {
        noted('infer', deployment)
        if (self.undeployed.has(deployment.id)) self.broken.push(`infer after undeploy of ${deployment.id}`)
        const asleep = !self.up.has(deployment.id) || self.falling_asleep.has(deployment.id)
        if (asleep) self.refused.push(deployment.id)
        if (asleep) throw new PlatformError('deployment_unavailable', 'Nothing runs')
        self.requests.push(request)
        await self.pause('infer', deployment.id, 'begin')
        const body = new TextEncoder().encode(JSON.stringify({ revision: self.up.get(deployment.id) ?? null }))
        return { status: 200, headers: { 'content-type': 'application/json' }, body, usage }
      },
      hibernate: async ({ deployment }) => {
        noted('hibernate', deployment)
        self.falling_asleep.add(deployment.id)
        await self.pause('hibernate', deployment.id, 'begin')
        self.up.delete(deployment.id)
        self.falling_asleep.delete(deployment.id)
        await self.pause('hibernate', deployment.id, 'end')
      },
      activate: async ({ deployment }) => {
        noted('activate', deployment)
        const at_once = (activating.get(deployment.id) ?? 0) + 1
        activating.set(deployment.id, at_once)
        if (at_once > 1) self.broken.push(`${at_once} activations of ${deployment.id} at once`)
        try {
          await self.pause('activate', deployment.id, 'begin')
          self.up.set(deployment.id, deployment.revision)
          await self.pause('activate', deployment.id, 'end')
        } finally {
          activating.set(deployment.id, at_once - 1)
        }
      },
      undeploy: async ({ deployment }) => {
        noted('undeploy', deployment)
        self.undeployed.add(deployment.id)
        await self.pause('undeploy', deployment.id, 'begin')
        self.up.delete(deployment.id)
        await self.pause('undeploy', deployment.id, 'end')
      },
    }),
  }
  return self
}

/** The steps of `provision-deployment` and `drive-transition` for an app. */
export const provisionSteps = (app: DeploymentApp): Map<string, Step> =>
  new Map<string, Step>([
    ['deploy-revision', (state) => deployRevision(app, ProvisionInput.parse(state))],
    ['settle-deployment', (state) => settleDeployment(app, state)],
    ['carry-out-transition', (state) => carryOutTransition(app, state)],
  ])

export const owner: Principal = { kind: 'user', id: 'usr_1', name: 'ann', organization_id: 'org_1', role: 'admin' }
export const stranger: Principal = { ...owner, id: 'usr_2', organization_id: 'org_2' }

export const storedModel = (changes: Partial<Model> = {}): Model => ({
  id: 'mod_1',
  organization_id: 'org_1',
  name: 'digits',
  framework: 'onnx',
  version: '1',
  status: 'active',
  storage_path: 'models/org_1/mod_1/model.onnx',
  file_name: 'model.onnx',
  size_bytes: 1000,
  sha256: 'aa',
  inspection: null,
  created_at: '2026-11-20T00:00:00.000Z',
  updated_at: '2026-11-20T00:00:00.000Z',
  metadata: {},
  ...changes,
})

export const putDocument = (records: Records, kind: string, document: { id: string; organization_id: string }) =>
  records.write([
    {
      put: { pk: `org#${document.organization_id}`, sk: `${kind}#${document.id}`, body: JSON.parse(JSON.stringify(document)) },
      expect: 'any',
    },
  ])

export interface World {
  app: DeploymentApp
  fake: RecordingDeployer
  samples: InferenceSample[]
  lastRequests: Map<string, Date>
  logged: { event: string; fields: Record<string, unknown> | undefined }[]
  /** Milliseconds added to the clock. */
  skip(ms: number): void
  stop(): Promise<void>
}

/** A platform with real records and real workflows, a recording deployer, and model `mod_1`. */
export const makeWorld = async (
  records: Records = sqliteRecords({ path: ':memory:', now: () => new Date() }),
): Promise<World> => {
  const fake = recordingDeployer()
  const samples: InferenceSample[] = []
  const lastRequests = new Map<string, Date>()
  const logged: World['logged'] = []
  let skipped_ms = 0
  let ids = 0
  const now = () => new Date(Date.now() + skipped_ms)
  const note = (event: string, fields?: Record<string, unknown>) => void logged.push({ event, fields })
  const log = { info: note, warn: note, error: note }
  const steps = new Map<string, Step>()
  const workflows = inProcessWorkflows({ records, pipelines, steps, log, now, backoff_ms: 1 })
  const app: DeploymentApp = {
    records,
    workflows,
    log,
    now,
    newId: (prefix) => `${prefix}_${String(++ids).padStart(8, '0')}`,
    config: { version: 'test', public_url: 'http://host', max_upload_bytes: 1, wake_wait_ms: 2000, scratch_dir: '/nowhere' },
    deployers: new Map([['serverless', fake.deployer]]),
    meter: { record: (sample) => void samples.push(sample), lastRequestAt: (id) => lastRequests.get(id), flush: async () => {} },
    prices: { version: 'snapshot-test', tiers: () => [] },
  }
  for (const [name, step] of provisionSteps(app)) steps.set(name, step)
  await putDocument(records, 'model', storedModel())
  await workflows.resume()
  const skip = (ms: number): void => {
    skipped_ms += ms
  }
  return { app, fake, samples, lastRequests, logged, skip, stop: () => workflows.stop() }
}

export const wanted = (changes: Partial<z.input<typeof CreateDeployment>> = {}): CreateDeployment =>
  CreateDeployment.parse({ name: 'digits', model_id: 'mod_1', deployment_type: 'serverless', ...changes })

/** The deployment as stored, once `reached` holds of it; fails after five seconds. */
export const until = async (
  app: Pick<App, 'records'>,
  id: string,
  reached: (deployment: Deployment) => boolean,
): Promise<Deployment> => {
  for (let tries = 0; tries < 1000; tries += 1) {
    const deployment = await readAnyDeployment(app, { organization_id: 'org_1', id })
    if (deployment !== undefined && reached(deployment)) return deployment
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`not reached: ${JSON.stringify(await readAnyDeployment(app, { organization_id: 'org_1', id }))}`)
}

/** What a refused call answers; fails when it was not refused. */
export const refusal = (work: Promise<unknown>) =>
  work.then(
    () => {
      throw new Error('wanted a refusal')
    },
    (error: unknown) => {
      if (error instanceof PlatformError)
        return { code: error.code, status: error.status, ...error.extras, detail: error.message }
      throw error
    },
  )

/** A deployment that has settled: up, or failed. */
export const createdIn = async (world: World, changes: Parameters<typeof wanted>[0] = {}): Promise<Deployment> => {
  const { id } = await createDeployment(world.app, owner, wanted(changes))
  return until(world.app, id, ({ transition }) => transition === null)
}

export const callOf = (deployment_id: string, changes: Partial<InferenceCall> = {}): InferenceCall => ({
  deployment_id,
  method: 'POST',
  path: '',
  headers: {},
  body: new TextEncoder().encode('{"inputs":[1]}'),
  request_id: 'req_1',
  ...changes,
})

/** The code a promise fails with, `none` when it does not; what is no PlatformError is thrown on. */
export const codeOf = (work: Promise<unknown>): Promise<ErrorCode | 'none'> =>
  work.then(
    () => 'none',
    (error: unknown) => {
      if (error instanceof PlatformError) return error.code
      throw error
    },
  )
