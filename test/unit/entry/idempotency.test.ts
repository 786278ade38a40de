import { describe, expect, it, onTestFinished } from 'vitest'
import { idempotent } from '../../../functions/entry/idempotency.ts'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import type { RouteRow } from '../../../layers/core/contract/route-row.ts'
import { routes } from '../../../layers/core/contract/routes.ts'
import type { Principal } from '../../../layers/core/domain/principal.ts'
import type { Records } from '../../../layers/core/ports/records.ts'
import { sqliteRecords } from '../../../layers/records/sqlite.ts'
import { keptLog, tickingClock } from '../../support/identity.ts'

const row: RouteRow = routes['create-user']
const event = { httpMethod: 'POST', path: '/users', body: '{}' }
const principal: Principal = { kind: 'user', id: 'usr_1', name: 'ada', organization_id: 'org_1', role: 'admin' }
const refusal = new PlatformError('conflict', 'the name is taken')

const house = () => {
  const { now, advance } = tickingClock()
  const records = sqliteRecords({ path: ':memory:', now })
  onTestFinished(() => records.close())
  const log = keptLog()
  const ask = (run: () => Promise<{ body: unknown }>, store: Records = records) =>
    idempotent({ records: store, now, log }, row, event, principal, 'key-1', run)
  return { records, log, advance, ask }
}

describe('a request with an Idempotency-Key that fails', () => {
  it('fails with its own reason even where the key cannot be set free', async () => {
    const { records, log, ask } = house()
    let claimed = false
    const write: Records['write'] = async (operations) => {
      if (claimed) throw new PlatformError('storage_full', 'no room for the test')
      claimed = true
      return records.write(operations)
    }
    await expect(ask(() => Promise.reject(refusal), { ...records, write })).rejects.toBe(refusal)
    expect(log.lines.filter((line) => line.includes('no room for the test'))).toHaveLength(1)
  })

  it('leaves the key to a repeat that took it over meanwhile', async () => {
    const { ask, advance } = house()
    const late = Promise.withResolvers<never>()
    const second = Promise.withResolvers<{ body: unknown }>()
    const begun = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const running = <Answer>(at: number, answer: Promise<Answer>) => {
      begun[at]?.resolve()
      return answer
    }
    const first = ask(() => running(0, late.promise))
    first.catch(() => undefined)
    await begun[0]?.promise
    advance(121)
    const repeat = ask(() => running(1, second.promise))
    await begun[1]?.promise
    late.reject(refusal)
    await expect(first).rejects.toBe(refusal)
    await expect(ask(async () => ({ body: 'a third run' }))).rejects.toMatchObject({ code: 'idempotency_conflict' })
    second.resolve({ body: 'done once' })
    expect(await repeat).toEqual({ body: 'done once' })
  })
})
