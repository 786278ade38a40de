import { errorChain, isPlatformError } from '../contract/errors.ts'
import { coldStorageSku, storageSku } from '../domain/cost-analysis.ts'
import type { JsonObject } from '../domain/json.ts'
import { unitPrice } from '../domain/price.ts'
import {
  decideStorage,
  deletionDate,
  type ModelStorage,
  type StorageDecision,
  type StoragePolicy,
  type StoragePrices,
} from '../domain/storage-decision.ts'
import { Organization } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import { compactModel } from './compact-model.ts'
import { deleteModel } from './delete-model.ts'
import { everyStored } from './every-stored.ts'
import { type ModelFacts, type OrganizationUse, readModelFacts, readOrganizationUse } from './judge-models.ts'
import { organizationsIndex } from './organization-records.ts'
import { organizationPartition } from './record-keys.ts'
import { putStorage, untouchedStorage } from './storage-records.ts'

type Needs = Pick<App, 'records' | 'artifacts' | 'prices' | 'config' | 'log' | 'now' | 'newId'>

export const standardPolicy: StoragePolicy = { archive_after_days: 90, delete_after_days: null }
/** A run begins nothing after this; the next one goes on. */
const RUN_MS = 10 * 60_000
const most_listed = 100

interface Done {
  model_id: string
  organization_id: string
  action: StorageDecision['action']
  reason: string
  saves_usd_per_month: number | null
}

/**
 * Keeps what nobody uses in less room. Primary course, for every model of every organisation: decide from its use; say in the log what
 * is going to be done; do it on the versions decided on, so that a model that is deployed meanwhile is left alone. Answers what was
 * done and what it saves. One model's fault does not stop the others.
 */
export const archiveUnusedModels = async (app: Needs): Promise<JsonObject> => {
  const started_ms = app.now().getTime()
  const summary = { models: 0, failed: 0, done: [] as Done[] }
  for await (const { body } of everyStored(app.records, { index: 'lookup', pk: organizationsIndex })) {
    const { id: organization_id } = Organization.parse(body)
    const known = await readOrganizationUse(app, organization_id)
    const range = { pk: organizationPartition(organization_id), from: 'model#', to: 'model#~' }
    for await (const { sk } of everyStored(app.records, range)) {
      if (app.now().getTime() - started_ms > RUN_MS) return answer(summary, app)
      await oneModel(app, organization_id, sk.slice('model#'.length), known, summary)
    }
  }
  return answer(summary, app)
}

const answer = ({ models, failed, done }: { models: number; failed: number; done: Done[] }, app: Needs): JsonObject => {
  const of = (action: StorageDecision['action']) => done.filter((one) => one.action === action).length
  const saved = done.filter(({ action }) => action !== 'announce_deletion')
  return {
    ...{
      models,
      failed,
      compressed: of('compress'),
      archived: of('archive'),
      announced: of('announce_deletion'),
      deleted: of('delete'),
    },
    saves_usd_per_month: saved.reduce((sum, one) => sum + (one.saves_usd_per_month ?? 0), 0),
    basis: saved.length === 0 ? null : `S3 us-east-1 by GB-month, price list ${app.prices.version}`,
    ...(done.length > 0 && { done: done.slice(0, most_listed).map((one) => ({ ...one })) }),
  }
}

const oneModel = async (
  app: Needs,
  organization_id: string,
  model_id: string,
  known: OrganizationUse,
  summary: { models: number; failed: number; done: Done[] },
): Promise<void> => {
  summary.models += 1
  try {
    const facts = await readModelFacts(app, organization_id, model_id, known)
    if (!facts) return
    const decision = decideStorage(facts.judged, facts.lastUsedAt, policyOf(app), app.now(), pricesOf(app))
    if (decision.action === 'keep') return await noteKept(app, facts)
    app.log.info('storage_decision', { model_id, organization_id, ...decision })
    const saves_usd_per_month = await carryOut(app, facts, decision)
    summary.done.push({ model_id, organization_id, action: decision.action, reason: decision.reason, saves_usd_per_month })
  } catch (error) {
    // Somebody else changed it: whatever it was, it is in use.
    if (isPlatformError(error, 'version_conflict')) return
    summary.failed += 1
    app.log.warn('storage_not_changed', { model_id, organization_id, cause: errorChain(error) })
  }
}

const policyOf = ({ config }: Needs): StoragePolicy => config.storage_policy ?? standardPolicy

const pricesOf = ({ prices }: Needs): StoragePrices => ({
  standard_usd_per_gb_month: unitPrice(prices, storageSku) ?? null,
  cold_usd_per_gb_month: unitPrice(prices, coldStorageSku) ?? null,
})

/** From now on it is known since when it is unused; an announcement that no policy stands behind any more is withdrawn. */
const noteKept = async (app: Needs, facts: ModelFacts): Promise<void> => {
  const { model, version, judged, lastUsedAt } = facts
  const now = app.now()
  if (judged.in_use === false && lastUsedAt === undefined && model.storage === undefined)
    await app.records.write([putStorage(model, untouchedStorage(now.toISOString(), now), version)])
  if (model.storage?.deletion_announced_at != null && (policyOf(app).delete_after_days === null || judged.in_use === true))
    await app.records.write([putStorage(model, { ...model.storage, deletion_announced_at: null, deletes_at: null }, version)])
}

/** Answers what it saves a month, measured where it can be. */
const carryOut = async (app: Needs, facts: ModelFacts, decision: StorageDecision): Promise<number | null> => {
  const { model, version, use, lastUsedAt } = facts
  const now = app.now()
  const storage: ModelStorage = {
    ...(model.storage ?? untouchedStorage(now.toISOString(), now)),
    last_used_at: (lastUsedAt ?? now).toISOString(),
    ...(policyOf(app).delete_after_days === null && { deletion_announced_at: null, deletes_at: null }),
  }
  if (decision.action === 'announce_deletion') {
    const date = deletionDate(lastUsedAt ?? now, policyOf(app).delete_after_days ?? 0, now)
    const announced = { ...storage, deletion_announced_at: now.toISOString(), deletes_at: date.toISOString() }
    await app.records.write([putStorage(model, announced, version), { check: use.key, expect: use.expect }])
    return decision.saves_usd_per_month
  }
  if (decision.action === 'delete') {
    await deleteModel(app, model, model.id, version)
    return decision.saves_usd_per_month
  }
  const { standard_usd_per_gb_month: warm, cold_usd_per_gb_month: cold } = pricesOf(app)
  const before = facts.judged.stored_bytes
  const after = await compactModel(app, facts, storage, decision.action === 'archive')
  const price = decision.action === 'archive' ? cold : warm
  return warm === null || price === null ? null : (before * warm - after * price) / 2 ** 30
}
