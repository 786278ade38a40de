import * as z from 'zod'

/** How a model's files are kept while nothing is deployed from them. Absent in a model: as they came. */
export const ModelStorage = z.object({
  /** What was last done with them; what came of it, `files` says: not every file can be compressed. */
  form: z.enum(['plain', 'compressed', 'archived']),
  /** ISO 8601, since when in this form. */
  since: z.string(),
  /** ISO 8601, when it was last known to be deployed or optimised. */
  last_used_at: z.string(),
  /** By artifact key, of the model and its optimised models. */
  files: z.array(
    z.object({
      key: z.string(),
      size_bytes: z.number().int(),
      stored_bytes: z.number().int(),
      form: z.enum(['plain', 'compressed']),
    }),
  ),
  /** Set while the files are being rewritten: until then nobody else does, and nothing is deployed from them. */
  busy: z.object({ id: z.string(), until: z.string() }).nullable(),
  /** ISO 8601; a model is deleted only when this was said a week before. */
  deletion_announced_at: z.string().nullable(),
  deletes_at: z.string().nullable(),
})
export type ModelStorage = z.infer<typeof ModelStorage>

export const StoragePolicy = z.object({
  /** Days without use after which files go to the colder storage class. */
  archive_after_days: z.number().int().min(1),
  /** Null: models are never deleted by themselves. */
  delete_after_days: z.number().int().min(1).nullable(),
})
export type StoragePolicy = z.infer<typeof StoragePolicy>

/** What is known of a model and its optimised models, seen as one: they go together. */
export interface JudgedModel {
  /** Deployed in any deployment that is not deleted, or an optimisation is running. Undefined: could not be found out. */
  in_use: boolean | undefined
  storage: Pick<ModelStorage, 'form' | 'busy' | 'deletion_announced_at' | 'deletes_at'> | undefined
  /** What its files take up now. */
  stored_bytes: number
}

export interface StorageDecision {
  action: 'keep' | 'compress' | 'archive' | 'announce_deletion' | 'delete'
  reason: string
  /** Against leaving it as it is now; null without a price. For `compress` what it saves at least as a rule: it is measured when done. */
  saves_usd_per_month: number | null
}

/** USD for a gigabyte of 2^30 bytes and a month; null where there is no price. */
export interface StoragePrices {
  standard_usd_per_gb_month: number | null
  cold_usd_per_gb_month: number | null
}

const day_ms = 86_400_000
/** Between saying that a model will be deleted and doing it. */
export const notice_days = 7
/** Unserved for so long, files are compressed. */
const compress_after_days = 1
/** S3 bills a cold object for 90 days at least: what is deleted sooner is not worth moving. */
/** Weights in float32 shrink by 7–8 % (eight published models measured), whole graphs with constants by up to 60 %. */
const expected_saving = 0.07

const gigabytes = (bytes: number): number => bytes / 2 ** 30

/**
 * What to do with a model's files. In use is kept, and so is everything in doubt: an unknown or future last use, files somebody rewrites.
 * It is deleted only when all of it holds: unused for `delete_after_days`, the deletion announced at least a week before, the date that was
 * announced reached.
 */
export const decideStorage = (
  model: JudgedModel,
  lastUsedAt: Date | undefined,
  policy: StoragePolicy,
  now: Date,
  prices: StoragePrices = { standard_usd_per_gb_month: null, cold_usd_per_gb_month: null },
): StorageDecision => {
  const keep = (reason: string): StorageDecision => ({ action: 'keep', reason, saves_usd_per_month: 0 })
  const { storage, in_use } = model
  if (in_use === undefined) return keep('whether it is in use is not known')
  if (in_use) return keep('it is in use')
  if (storage?.busy && !(Date.parse(storage.busy.until) <= now.getTime())) return keep('its files are being rewritten')
  const unused_days = lastUsedAt === undefined ? Number.NaN : (now.getTime() - lastUsedAt.getTime()) / day_ms
  if (!(unused_days >= 0)) return keep('when it was last used is not known')
  const form = storage?.form ?? 'plain'
  const since = `unused for ${unused_days.toFixed(1)} days`
  const deletion = decideDeletion(model, unused_days, policy, now, prices)
  if (deletion) return { ...deletion, reason: `${since}; ${deletion.reason}` }
  if (unused_days >= policy.archive_after_days && form !== 'archived')
    return {
      action: 'archive',
      reason: `${since}; its limit is ${policy.archive_after_days}`,
      saves_usd_per_month: archiving(model, prices),
    }
  if (unused_days >= compress_after_days && form === 'plain') {
    const monthly = costOf(model, prices)
    return {
      action: 'compress',
      reason: `${since}; its limit is ${compress_after_days}`,
      saves_usd_per_month: monthly === null ? null : monthly * expected_saving,
    }
  }
  return keep(`${since}; it is ${form}`)
}

const decideDeletion = (
  model: JudgedModel,
  unused_days: number,
  { delete_after_days }: StoragePolicy,
  now: Date,
  prices: StoragePrices,
): StorageDecision | undefined => {
  if (delete_after_days === null) return undefined
  const saves_usd_per_month = costOf(model, prices)
  const { deletion_announced_at = null, deletes_at = null } = model.storage ?? {}
  if (deletion_announced_at === null) {
    if (unused_days < delete_after_days - notice_days) return undefined
    return {
      action: 'announce_deletion',
      reason: `its limit is ${delete_after_days}; no deletion was announced yet`,
      saves_usd_per_month,
    }
  }
  const announced_days = (now.getTime() - Date.parse(deletion_announced_at)) / day_ms
  const is_time = deletes_at !== null && now.getTime() >= Date.parse(deletes_at)
  if (unused_days >= delete_after_days && announced_days >= notice_days && is_time)
    return {
      action: 'delete',
      reason: `its limit is ${delete_after_days}; announced ${announced_days.toFixed(1)} days ago`,
      saves_usd_per_month,
    }
  return undefined
}

/** When a deletion announced now comes: a week from now, or when the limit is reached if that is later. */
export const deletionDate = (lastUsedAt: Date, delete_after_days: number, now: Date): Date =>
  new Date(Math.max(now.getTime() + notice_days * day_ms, lastUsedAt.getTime() + delete_after_days * day_ms))

const costOf = ({ storage, stored_bytes }: JudgedModel, prices: StoragePrices): number | null => {
  const price = storage?.form === 'archived' ? prices.cold_usd_per_gb_month : prices.standard_usd_per_gb_month
  return price === null ? null : gigabytes(stored_bytes) * price
}

const archiving = (
  model: JudgedModel,
  { standard_usd_per_gb_month: warm, cold_usd_per_gb_month: cold }: StoragePrices,
): number | null => (warm === null || cold === null ? null : gigabytes(model.stored_bytes) * (warm - cold))
