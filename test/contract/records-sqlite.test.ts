import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { recordsContract } from './records.ts'

recordsContract('SQLite', async (clock) => {
  const folder = await mkdtemp(join(tmpdir(), 'records-'))
  const records = sqliteRecords({ path: join(folder, 'records.sqlite'), now: () => clock.now })
  return {
    records,
    clock,
    close: async () => {
      records.close()
      await rm(folder, { recursive: true })
    },
  }
})
