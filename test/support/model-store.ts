import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DiskArtifacts, diskArtifacts } from '../../layers/artifacts/disk.ts'
import { newId } from '../../layers/compose/ids.ts'
import { PlatformError } from '../../layers/core/contract/errors.ts'
import type { Principal } from '../../layers/core/domain/principal.ts'
import type { App } from '../../layers/core/ports/app.ts'
import type { ModelInspector } from '../../layers/core/ports/model-inspector.ts'
import { type SqliteRecords, sqliteRecords } from '../../layers/records/sqlite.ts'

/** Reads the first bytes: `ONNX…` is a model, everything else is refused. Stands in where inspection itself is not what is tested. */
export const prefixInspector = (bytesOf: (path: string) => string): ModelInspector => ({
  inspect: async (path, { framework }) => {
    if (bytesOf(path).startsWith('ONNX')) return { format: framework }
    throw new PlatformError('invalid_model', 'not a model', { facts: { reason: 'not_a_model' } })
  },
  describeDataset: async () => ({ format: 'npy', rows: 1, arrays: [] }),
})

export interface ModelStore extends Pick<App, 'inspector' | 'config' | 'now' | 'newId' | 'log'> {
  records: SqliteRecords
  artifacts: DiskArtifacts
  clock: { at: Date }
  warnings: string[]
  /** Every file below the artifacts folder, temporary ones included. */
  files(): string[]
  /** Stored documents of the organisation, as sort keys. */
  documents(organization_id?: string): Promise<string[]>
  close(): void
}

/** Real records in memory and real artifacts on disk, for use-cases about models. */
export function modelStore(inspector: ModelInspector, max_upload_bytes = 1_000_000): ModelStore {
  const root = mkdtempSync(join(tmpdir(), 'models-'))
  const clock = { at: new Date('2026-11-20T10:00:00Z') }
  const now = () => clock.at
  const records = sqliteRecords({ path: ':memory:', now })
  const warnings: string[] = []
  const note = (event: string) => warnings.push(event)
  return {
    clock,
    warnings,
    records,
    inspector,
    now,
    artifacts: diskArtifacts({ root, now, sign_key: 'key of the test', public_url: 'http://127.0.0.1:1' }),
    config: { version: 'test', public_url: 'http://127.0.0.1:1', max_upload_bytes, wake_wait_ms: 1, scratch_dir: root },
    newId: (prefix) => newId(prefix, Date.now()),
    log: { info() {}, warn: note, error: note },
    files: () =>
      readdirSync(root, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1)),
    documents: async (organization_id = 'org_1') =>
      (await records.query({ pk: `org#${organization_id}`, limit: 1000 })).items.map(({ sk }) => sk),
    close: () => {
      records.close()
      rmSync(root, { recursive: true, force: true })
    },
  }
}

export const editorOf = (organization_id: string): Principal => ({
  kind: 'user',
  id: 'usr_1',
  name: 'ed',
  organization_id,
  role: 'editor',
})
