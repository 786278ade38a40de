import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { InferenceSample } from '../../layers/core/domain/usage.ts'
import type { Log } from '../../layers/core/ports/log.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'

/** A clock that stands still until told. */
export const clockAt = (iso: string) => {
  let at_ms = Date.parse(iso)
  return {
    now: () => new Date(at_ms),
    set: (next: string | number) => {
      at_ms = typeof next === 'number' ? next : Date.parse(next)
    },
    advance: (ms: number) => {
      at_ms += ms
    },
  }
}

/** Records in a folder of their own, removed with the test. */
export const scratchRecords = (now: () => Date) => {
  const folder = mkdtempSync(join(tmpdir(), 'usage-'))
  const records = sqliteRecords({ path: join(folder, 'records.db'), now })
  onTestFinished(async () => {
    await records.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return records
}

/** A log that remembers its events. */
export const listeningLog = (): Log & { events: string[] } => {
  const events: string[] = []
  const note = (event: string) => void events.push(event)
  return { events, info: note, warn: note, error: note }
}

/** Numbers in [0, 1) that repeat with their seed. */
export const seededRandom = (seed: number) => () => {
  seed = (seed * 1_664_525 + 1_013_904_223) % 2 ** 32
  return seed / 2 ** 32
}

export const sampleAt = (at_ms: number, changes: Partial<InferenceSample> = {}): InferenceSample => ({
  organization_id: 'org_1',
  deployment_id: 'dep_1',
  deployment_type: 'serverless',
  revision: 1,
  at_ms,
  latency_us: 12_000,
  compute_us: 9_500,
  cpu_us: 9_000,
  cold: false,
  init_us: 0,
  error: false,
  bytes_in: 3_000,
  bytes_out: 1_000,
  memory_bytes: 150 * 2 ** 20,
  memory_limit_bytes: 2 ** 31,
  ...changes,
})
