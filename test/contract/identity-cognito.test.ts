import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import type { Identity } from '../../layers/core/ports/identity.ts'
import type { Records } from '../../layers/core/ports/records.ts'
import { cognitoIdentity } from '../../layers/identity/cognito.ts'
import { type SqliteRecords, sqliteRecords } from '../../layers/records/sqlite.ts'
import { cognitoClient, createPool } from '../support/cognito.ts'
import { startCognito } from '../support/cognito-server.ts'
import { hasMoto, startMoto } from '../support/emulators.ts'
import { tickingClock } from '../support/identity.ts'
import { identityContract } from './identity.ts'

type Make = (records: Records, now: () => Date) => Promise<Identity>

/** A store of its own for every platform of a test, and a clock that starts now, because an emulator's tokens are of the machine's time. */
const stand = async (make: Make, closeToo: () => Promise<void>) => {
  const folder = await mkdtemp(join(tmpdir(), 'identity-contract-'))
  const { now, advance } = tickingClock(new Date().toISOString())
  const stores: SqliteRecords[] = []
  const platform = () => {
    const records = sqliteRecords({ path: join(folder, `${stores.length}.sqlite`), now })
    stores.push(records)
    return make(records, now)
  }
  const close = async () => {
    for (const store of stores) store.close()
    rmSync(folder, { recursive: true, force: true })
    await closeToo()
  }
  return { identity: await platform(), stranger: platform, advance, close }
}

/** A pool per platform on one emulator, whose pools all sign with the same key: only the issuer tells them apart. */
const onMoto = async () => {
  const { endpoint, stop } = await startMoto()
  const client = cognitoClient(endpoint)
  const make: Make = async (records, now) =>
    cognitoIdentity({ ...(await createPool(client, endpoint)), client: () => client, records, now })
  const close = () => {
    client.destroy()
    return stop()
  }
  return { open: () => stand(make, async () => {}), close }
}

/** A pool per platform on a server with the rules that the emulator leaves out. */
const onStrictServer = async () => ({
  open: () => {
    const stops: (() => Promise<void>)[] = []
    const make: Make = async (records, now) => {
      const server = await startCognito(now)
      const client = cognitoClient(server.endpoint)
      stops.push(
        () => server.stop(),
        async () => client.destroy(),
      )
      return cognitoIdentity({ ...server.pool, client: () => client, records, now })
    }
    return stand(make, async () => void (await Promise.all(stops.map((stop) => stop()))))
  },
  close: () => {},
})

identityContract('Cognito on a strict server', onStrictServer)
if (hasMoto()) identityContract('Cognito on moto', onMoto)
else describe('identity: Cognito on moto', () => it.skip('left out: python3 has no moto', () => {}))
