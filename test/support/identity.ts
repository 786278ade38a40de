import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { newId } from '../../layers/compose/ids.ts'
import type { Principal } from '../../layers/core/domain/principal.ts'
import type { Log } from '../../layers/core/ports/log.ts'
import type { Records } from '../../layers/core/ports/records.ts'
import { authenticate } from '../../layers/core/usecases/authenticate.ts'
import { ensureFirstAdmin } from '../../layers/core/usecases/ensure-first-admin.ts'
import { issueToken } from '../../layers/core/usecases/issue-token.ts'
import { embeddedIdentity } from '../../layers/identity/embedded.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { fileSecrets } from '../../layers/secrets/file.ts'

export const issuer = 'http://127.0.0.1:3000'
export const admin_password = 'correct horse battery'
export const source_ip = '192.0.2.10'

/** A folder removed with the test. */
export const scratchFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'identity-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A log that keeps every line as text. */
export const keptLog = (): Log & { lines: string[] } => {
  const lines: string[] = []
  const keep = (event: string, fields?: Record<string, unknown>) => void lines.push(JSON.stringify({ event, ...fields }))
  return { lines, info: keep, warn: keep, error: keep }
}

export const tickingClock = (iso = '2026-11-21T12:00:00.000Z') => {
  let at_ms = Date.parse(iso)
  return {
    now: () => new Date(at_ms),
    advance: (seconds: number) => {
      at_ms += seconds * 1000
    },
  }
}

/** Counts reads, so that a test can say what the hot path must not do. */
const counted = (records: Records) => {
  const reads = { count: 0 }
  const get: Records['get'] = (key) => {
    reads.count += 1
    return records.get(key)
  }
  return { records: { ...records, get }, reads }
}

/** Identity, records and secrets as the embedded host has them, with the first admin made; only the password hash is cheaper. */
export const identityHouse = async () => {
  const folder = scratchFolder()
  const { now, advance } = tickingClock()
  const store = sqliteRecords({ path: join(folder, 'records.sqlite'), now })
  onTestFinished(() => store.close())
  const { records, reads } = counted(store)
  const secrets = fileSecrets({ path: join(folder, 'secrets.json'), key_path: join(folder, 'secrets.key') })
  const identity = embeddedIdentity({ records, secrets, now, issuer, scrypt_n: 1024 })
  const log = keptLog()
  const app = { records, secrets, identity, log, now, newId: (prefix: string) => newId(prefix, now().getTime()) }
  await ensureFirstAdmin(app, admin_password)
  const signIn = async (username = 'admin', password = admin_password, from = source_ip): Promise<string> =>
    (await issueToken(app, { username, password, source_ip: from })).token
  const whoIs = (token: string): Promise<Principal> => authenticate(app, { authorization: `Bearer ${token}`, source_ip })
  return { app, store, reads, folder, advance, signIn, whoIs, admin: await whoIs(await signIn()) }
}
