import { describe, expect, it, onTestFinished } from 'vitest'
import type { DeploymentStatus } from '../../../layers/core/domain/deployment.ts'
import type { Model } from '../../../layers/core/domain/model.ts'
import type { StoragePolicy } from '../../../layers/core/domain/storage-decision.ts'
import type { App } from '../../../layers/core/ports/app.ts'
import { analyseCost } from '../../../layers/core/usecases/analyse-cost.ts'
import { archiveUnusedModels } from '../../../layers/core/usecases/archive-unused-models.ts'
import { eventsFromChange } from '../../../layers/core/usecases/derive-events.ts'
import { findModel } from '../../../layers/core/usecases/find-model.ts'
import { getModel } from '../../../layers/core/usecases/get-model.ts'
import { usageMeter } from '../../../layers/core/usecases/meter-usage.ts'
import { claimModel } from '../../../layers/core/usecases/model-use.ts'
import { readyModelFiles } from '../../../layers/core/usecases/ready-model-files.ts'
import { putRevision } from '../../../layers/core/usecases/revisions.ts'
import { snapshotPrices } from '../../../layers/pricing/snapshot.ts'
import { compressible } from '../../contract/artifacts-compact.ts'
import { bytesFrom, bytesOf, sha256, streamOf } from '../../support/artifacts.ts'
import { deploymentOf, modelOf, optimizedOf, store, viewer } from '../../support/fleet.ts'
import { modelStore, prefixInspector } from '../../support/model-store.ts'
import { failure } from '../../support/records.ts'

const bytes = compressible(150_000)
const optimized = compressible(60_000, 2)
const day_ms = 86_400_000

/** Real records and artifacts; one model with one optimised model, made on 1 November; it is the 20th. */
const world = async (policy: StoragePolicy = { archive_after_days: 90, delete_after_days: null }) => {
  const base = modelStore(prefixInspector(() => 'ONNX'))
  onTestFinished(() => base.close())
  const prices = snapshotPrices()
  const app = {
    ...base,
    prices,
    config: { ...base.config, storage_policy: policy },
    meter: usageMeter({ records: base.records, prices, now: base.now, log: base.log }),
  }
  const model = modelOf('mod_1', { size_bytes: bytes.byteLength, sha256: sha256(bytes) })
  const better = { ...optimizedOf('opt_1', 'mod_1'), size_bytes: optimized.byteLength, sha256: sha256(optimized) }
  const organization = { id: 'org_1', name: 'Acme', operator: true, admins: 1, created_at: '2026-10-01T00:00:00.000Z' }
  const lookup = { pk: 'organizations', sk: 'organization#org_1' }
  await app.records.write([{ put: { pk: 'org#org_1', sk: 'organization#org_1', body: organization, lookup }, expect: 'any' }])
  await store(app.records, 'model', model)
  await store(app.records, 'optimization', better)
  await app.artifacts.put(model.storage_path, streamOf(bytes))
  await app.artifacts.put(better.storage_path ?? '', streamOf(optimized))
  const pass = (days: number) => {
    app.clock.at = new Date(app.clock.at.getTime() + days * day_ms)
  }
  const isWhole = async () =>
    sha256(await bytesFrom(await app.artifacts.read(model.storage_path))) === model.sha256 &&
    sha256(await bytesFrom(await app.artifacts.read(better.storage_path ?? ''))) === better.sha256
  return { app, pass, isWhole, stored: async () => (await findModel(app, 'org_1', 'mod_1')).model }
}
type World = Awaited<ReturnType<typeof world>>

const deploy = async ({ app }: World, id: string, status: DeploymentStatus = 'active'): Promise<void> => {
  await app.records.write(await claimModel(app, 'org_1', 'mod_1', id))
  await store(
    app.records,
    'deployment',
    deploymentOf(id, { status, original_model_id: 'mod_1', status_since: app.clock.at.toISOString() }),
  )
}
const release = async ({ app }: World, id: string): Promise<void> => {
  await app.records.write([{ remove: { pk: 'org#org_1', sk: 'model-use#mod_1' }, expect: 'any' }])
  await store(
    app.records,
    'deployment',
    deploymentOf(id, { status: 'deleted', original_model_id: 'mod_1', status_since: app.clock.at.toISOString() }),
  )
}
const input = { organization_id: 'org_1', deployment_id: 'dep_9', transition_id: 'tr_1', revision: 1 }
/** What the deployment pipeline does first. */
const bringUp = async ({ app }: World): Promise<void> => {
  const spec = deploymentOf('dep_9')
  const revision = { ...spec, revision: 1, original_model_id: 'mod_1', created_by: 'usr_1', rolled_back_from: null }
  await app.records.write([putRevision({ organization_id: 'org_1', id: 'dep_9' }, revision)]).catch(() => undefined)
  await readyModelFiles(app, input)
}
const formsOf = ({ app }: World) => app.files().filter((file) => file.startsWith('objects'))

describe('models nobody serves', () => {
  it('take less room from the second day on, cost less, and read as before', async () => {
    const here = await world()
    const { app } = here
    const before = (await app.records.get({ pk: 'org#org_1', sk: 'model#mod_1' }))?.version
    const summary = await archiveUnusedModels(app)
    expect(summary).toMatchObject({
      models: 1,
      compressed: 1,
      archived: 0,
      failed: 0,
      done: [{ model_id: 'mod_1', action: 'compress' }],
    })
    expect(formsOf(here).every((file) => file.endsWith('~zst'))).toBe(true)
    expect(await here.isWhole()).toBe(true)
    const { storage } = await here.stored()
    expect(storage).toMatchObject({ form: 'compressed', busy: null, files: [{ form: 'compressed' }, { form: 'compressed' }] })
    const saved_bytes = storage?.files.reduce((sum, file) => sum + file.size_bytes - file.stored_bytes, 0) ?? 0
    expect(summary.saves_usd_per_month).toBeCloseTo((saved_bytes / 2 ** 30) * 0.023, 12)
    const shown = await getModel(app, viewer, 'mod_1')
    expect(shown.storage).toMatchObject({ form: 'compressed', deletion_announced_at: null })
    expect(shown.storage).not.toHaveProperty('files')
    const after = (await app.records.get({ pk: 'org#org_1', sk: 'model#mod_1' }))?.version
    expect(after).not.toBe(before)
    here.pass(1)
    expect(await archiveUnusedModels(app)).toMatchObject({ compressed: 0, failed: 0 })
    expect((await app.records.get({ pk: 'org#org_1', sk: 'model#mod_1' }))?.version).toBe(after)
  })

  it('are charged for what they take up', async () => {
    const costOf = async (compressed: boolean) => {
      const here = await world()
      const grown: Model = { ...(await here.stored()), size_bytes: 100 * 2 ** 30 }
      if (compressed)
        grown.storage = {
          form: 'archived',
          since: '2026-11-10T00:00:00.000Z',
          last_used_at: grown.created_at,
          files: [{ key: grown.storage_path, size_bytes: grown.size_bytes, stored_bytes: 50 * 2 ** 30, form: 'compressed' }],
          ...{ busy: null, deletion_announced_at: null, deletes_at: null },
        }
      await store(here.app.records, 'model', grown)
      const window = { start_time: '2026-11-10T00:00:00Z', end_time: '2026-11-20T00:00:00Z' }
      const { other_costs } = await analyseCost(here.app, viewer, window)
      return other_costs.find(({ type }) => type === 'model_storage')?.amount_usd ?? 0
    }
    const months = 240 / 730
    expect(await costOf(false)).toBeCloseTo(100 * 0.023 * months, 4)
    expect(await costOf(true)).toBeCloseTo(50 * 0.004 * months, 4)
  })

  it('are left alone while a deployment uses them, asleep or not, and while an optimisation runs', async () => {
    for (const status of ['active', 'hibernated', 'stopped', 'failed', 'creating'] as const) {
      const here = await world({ archive_after_days: 1, delete_after_days: 8 })
      await deploy(here, 'dep_1', status)
      here.pass(300)
      expect(await archiveUnusedModels(here.app), status).toMatchObject({ compressed: 0, archived: 0, announced: 0, deleted: 0 })
      expect(formsOf(here).some((file) => file.endsWith('~zst'))).toBe(false)
    }
    const earlier = await world()
    await store(earlier.app.records, 'deployment', deploymentOf('dep_9', { model_id: 'mod_2', resolved_model_id: 'mod_2' }))
    await bringUp(earlier)
    expect(await archiveUnusedModels(earlier.app)).toMatchObject({ compressed: 0 })
    const here = await world()
    const running = { ...optimizedOf('opt_2', 'mod_1'), status: 'optimizing', storage_path: null, size_bytes: null }
    await store(here.app.records, 'optimization', running)
    expect(await archiveUnusedModels(here.app)).toMatchObject({ compressed: 0 })
  })

  it('count their days from the last deployment, and from now where nobody knows', async () => {
    const here = await world()
    await deploy(here, 'dep_1')
    here.pass(5)
    await release(here, 'dep_1')
    here.pass(0.9)
    expect(await archiveUnusedModels(here.app)).toMatchObject({ compressed: 0 })
    here.pass(0.2)
    expect(await archiveUnusedModels(here.app)).toMatchObject({ compressed: 1 })

    const unknown = await world({ archive_after_days: 20, delete_after_days: 30 })
    await unknown.app.records.write([{ remove: { pk: 'org#org_1', sk: 'optimization#opt_1' }, expect: 'any' }])
    unknown.pass(200)
    expect(await archiveUnusedModels(unknown.app)).toMatchObject({ compressed: 0, archived: 0, announced: 0 })
    expect((await unknown.stored()).storage?.last_used_at).toBe(unknown.app.clock.at.toISOString())
    unknown.pass(1)
    expect(await archiveUnusedModels(unknown.app)).toMatchObject({ compressed: 1 })
  })

  it('are deleted only by a policy, only after a week of notice, which stands in the model and is an event', async () => {
    const here = await world({ archive_after_days: 20, delete_after_days: 40 })
    const { app } = here
    const changes = () => app.records.changes(0, 1000)
    const days: string[] = []
    for (let day = 0; day < 60; day += 1) {
      const { compressed, archived, announced, deleted } = await archiveUnusedModels(app)
      for (const [what, count] of Object.entries({ compressed, archived, announced, deleted }))
        if (count === 1) days.push(`${what} ${day}`)
      if (deleted === 1) break
      if (announced === 1) {
        const { storage } = await getModel(app, viewer, 'mod_1')
        expect(storage?.deletion_announced_at).toBe(app.clock.at.toISOString())
        expect(Date.parse(storage?.deletes_at ?? '') - app.clock.at.getTime()).toBeGreaterThanOrEqual(7 * day_ms)
      }
      here.pass(1)
    }
    // Made 19.4 days before the first run.
    expect(days).toEqual(['compressed 0', 'archived 1', 'announced 14', 'deleted 21'])
    await failure('not_found', getModel(app, viewer, 'mod_1'))
    const events = changes().flatMap((change) => eventsFromChange(change))
    const about = events.filter(({ type }) => type.startsWith('model.')).map(({ type }) => type)
    expect(about.filter((type) => type === 'model.deletion_announced')).toHaveLength(1)
    expect(about.at(-1)).toBe('model.deleted')
    expect(events.find(({ type }) => type === 'model.deletion_announced')?.data).toMatchObject({
      id: 'mod_1',
      deletes_at: expect.any(String),
    })
  })

  it('lose their notice when they are deployed, or when no policy deletes any more', async () => {
    const here = await world({ archive_after_days: 5, delete_after_days: 20 })
    await archiveUnusedModels(here.app)
    expect((await here.stored()).storage?.deletion_announced_at).not.toBeNull()
    await deploy(here, 'dep_9')
    await bringUp(here)
    expect((await here.stored()).storage).toBeUndefined()
    here.pass(30)
    expect(await archiveUnusedModels(here.app)).toMatchObject({ deleted: 0 })

    const other = await world({ archive_after_days: 5, delete_after_days: 20 })
    await archiveUnusedModels(other.app)
    const changed = {
      ...other.app,
      config: { ...other.app.config, storage_policy: { archive_after_days: 90, delete_after_days: null } },
    }
    other.pass(30)
    expect(await archiveUnusedModels(changed)).toMatchObject({ deleted: 0 })
    expect((await other.stored()).storage).toMatchObject({ deletion_announced_at: null, deletes_at: null })
  })
})

describe('a model that is deployed again', () => {
  it('has its files as they came before anything is deployed', async () => {
    const here = await world()
    await archiveUnusedModels(here.app)
    await deploy(here, 'dep_9')
    await bringUp(here)
    expect(formsOf(here).some((file) => file.endsWith('~zst'))).toBe(false)
    expect(await here.isWhole()).toBe(true)
    await bringUp(here)
  })

  it('waits while its files are rewritten, but not for a process that died', async () => {
    const here = await world()
    const held = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const { compact } = here.app.artifacts
    const slow = {
      ...here.app,
      artifacts: {
        ...here.app.artifacts,
        compact: async (key: string, options: object = {}) => {
          begun.resolve()
          await held.promise
          return compact(key, options)
        },
      },
    }
    const running = archiveUnusedModels(slow)
    await begun.promise
    await deploy(here, 'dep_9')
    await failure('work_pending', bringUp(here))
    held.resolve()
    expect(await running).toMatchObject({ compressed: 1 })
    await bringUp(here)
    expect(formsOf(here).some((file) => file.endsWith('~zst'))).toBe(false)
  })

  it('is not compressed when it is deployed between the decision and the deed', async () => {
    const here = await world()
    const { write } = here.app.records
    let is_first = true
    const late: Pick<App, 'records'> = {
      records: {
        ...here.app.records,
        write: async (operations) => {
          if (is_first) {
            is_first = false
            await deploy(here, 'dep_9')
          }
          return write(operations)
        },
      },
    }
    expect(await archiveUnusedModels({ ...here.app, ...late })).toMatchObject({ compressed: 0, failed: 0 })
    expect((await here.stored()).storage).toBeUndefined()
    expect(formsOf(here).some((file) => file.endsWith('~zst'))).toBe(false)
  })

  it('has whole, plain files wherever the rewriting died', async () => {
    let points = 0
    for (const moment of ['before', 'after'] as const)
      for (let at = 1; ; at += 1) {
        const here = await world()
        const died = await dying(here, at, moment)
        if (!died) break
        points += 1
        expect(await here.isWhole(), `${moment} ${at}`).toBe(true)
        await deploy(here, 'dep_9')
        here.pass(0.02)
        await bringUp(here)
        expect(await here.isWhole(), `${moment} ${at}`).toBe(true)
        expect(
          formsOf(here).some((file) => file.endsWith('~zst')),
          `${moment} ${at}`,
        ).toBe(false)
        expect((await here.stored()).storage).toBeUndefined()
      }
    expect(points).toBeGreaterThan(15)
  })

  it('stays as it is when its bytes are not those that were stored', async () => {
    const here = await world()
    await here.app.artifacts.put('models/org_1/mod_1/model.onnx', streamOf(bytesOf(1000)))
    expect(await archiveUnusedModels(here.app)).toMatchObject({ compressed: 0, failed: 1 })
    expect((await here.stored()).storage?.busy).toBeNull()
    expect(await here.app.artifacts.stat('models/org_1/mod_1/model.onnx')).toEqual({ size_bytes: 1000 })
  })
})

/** Runs the schedule in a process that dies at its n-th call of records or artifacts; false when it has fewer. */
const dying = async ({ app }: World, at: number, moment: 'before' | 'after'): Promise<boolean> => {
  let calls = 0
  let dead = false
  const guard =
    <Args extends unknown[], Answer>(work: (...args: Args) => Promise<Answer>) =>
    async (...args: Args): Promise<Answer> => {
      calls += 1
      dead ||= calls === at && moment === 'before'
      if (dead) throw new Error('killed')
      const answer = await work(...args)
      dead ||= calls === at
      if (dead) throw new Error('killed')
      return answer
    }
  const { get, query, write } = app.records
  const records = { ...app.records, get: guard(get), query: guard(query), write: guard(write) }
  const artifacts = { ...app.artifacts, compact: guard(app.artifacts.compact) }
  await archiveUnusedModels({ ...app, records, artifacts }).catch(() => undefined)
  return dead
}
