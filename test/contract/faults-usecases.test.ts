import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isPlatformError } from '../../layers/core/contract/errors.ts'
import type { User } from '../../layers/core/domain/user.ts'
import type { Records } from '../../layers/core/ports/records.ts'
import { accessKeyKey, accessUserKey } from '../../layers/core/usecases/access-records.ts'
import { admitUser } from '../../layers/core/usecases/admit-user.ts'
import { changeDeployment, inState } from '../../layers/core/usecases/change-deployment.ts'
import { countsByStatus } from '../../layers/core/usecases/count-by-status.ts'
import { createApiKey } from '../../layers/core/usecases/create-api-key.ts'
import { readAnyDeployment } from '../../layers/core/usecases/deployment-records.ts'
import { usageMeter } from '../../layers/core/usecases/meter-usage.ts'
import {
  apiKeyKey,
  apiKeyPointerKey,
  organizationDocument,
  userKey,
  usernameKey,
} from '../../layers/core/usecases/organization-records.ts'
import { revokeApiKey } from '../../layers/core/usecases/revoke-api-key.ts'
import { snapshotPrices } from '../../layers/pricing/snapshot.ts'
import { dynamodbRecords } from '../../layers/records/dynamodb.ts'
import { createdIn, makeWorld, owner } from '../support/deployment-world.ts'
import { withTransactions } from '../support/dynalite-transactions.ts'
import { createRecordsTable, dynamoClient, startDynalite } from '../support/emulators.ts'
import { type FaultyDynamodb, faults, faultyDynamodb, hastyDynamoClient } from '../support/faulty-dynamodb.ts'
import { put } from '../support/records.ts'
import { clockAt, listeningLog, sampleAt, seededRandom } from '../support/usage.ts'

/** Use-cases on a table that misbehaves: whatever they answer, what belongs together is there together or not at all. */
describe('use-cases when DynamoDB misbehaves', () => {
  let server: FaultyDynamodb
  let records: Records
  let plain: Records
  const close: (() => Promise<void> | void)[] = []
  beforeAll(async () => {
    const behind = await withTransactions(await startDynalite())
    server = await faultyDynamodb(behind)
    const [direct, faulty] = [dynamoClient(behind.endpoint), hastyDynamoClient(server.endpoint)]
    close.push(
      () => direct.destroy(),
      () => faulty.destroy(),
      server.stop,
    )
    await createRecordsTable(direct, 'records')
    plain = dynamodbRecords({ table: 'records', client: () => direct, now: () => new Date() })
    records = dynamodbRecords({ table: 'records', client: () => faulty, now: () => new Date() })
  })
  afterAll(async () => {
    for (const each of close) await each()
  })

  /** Half of all calls go wrong, in every way. */
  const trouble = (seed: number, rate = 0.5) => {
    const random = seededRandom(seed)
    server.misbehave(() => (random() < rate ? faults[Math.floor(random() * faults.length)] : undefined))
  }
  const calm = () => server.misbehave(() => undefined)
  const outcome = async (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'done',
      (error: unknown) => (isPlatformError(error) ? error.code : String(error)),
    )
  let ids = 0
  const parts = () => ({ records, now: () => new Date(), newId: (prefix: string) => `${prefix}_${++ids}` })
  const is_there = async (key: { pk: string; sk: string }) => (await plain.get(key)) !== undefined

  it('makes a user whole, name and access and password, or not at all', async () => {
    const said: string[] = []
    for (let seed = 1; seed <= 12; seed += 1) {
      const enrolled = new Set<string>()
      const unused = async (): Promise<never> => {
        throw new Error('not asked for')
      }
      const identity = {
        enrol: async ({ user_id }: { user_id: string }) => {
          enrolled.add(user_id)
          return { epoch: 'e' }
        },
        forget: async ({ user_id }: { user_id: string }) => void enrolled.delete(user_id),
        ...{ signIn: unused, verify: unused, setPassword: unused, checkPassword: unused, publicKeys: unused, rotateKeys: unused },
      }
      const at = new Date().toISOString()
      const user: User = {
        id: `usr_${seed}`,
        organization_id: 'org_u',
        username: `u${seed}`,
        role: 'admin',
        created_at: at,
        updated_at: at,
      }
      trouble(seed)
      const answer = await outcome(admitUser({ ...parts(), identity }, user, 'secret', async () => []))
      said.push(answer)
      calm()
      const whole = await is_there(userKey('org_u', user.id))
      expect(await is_there(accessUserKey('org_u', user.id)), answer).toBe(whole)
      const name = await plain.get(usernameKey(user.username))
      // A name without its user is a reservation and ends by itself.
      if (whole) expect(name?.expires_at).toBeUndefined()
      else if (name) expect(name.expires_at).toBeGreaterThan(0)
      if (answer === 'done') expect(whole).toBe(true)
      if (whole) expect(enrolled.has(user.id)).toBe(true)
    }
    expect(said).toContain('done')
  })

  it('keeps key, pointer and access of an API key together', async () => {
    await plain.write([put(organizationDocument('org_k'), { id: 'org_k' })])
    const principal = { ...owner, organization_id: 'org_k' }
    const app = parts()
    const together = async (id: string, sha256: string) => {
      const there = await Promise.all(
        [apiKeyKey('org_k', id), apiKeyPointerKey(sha256), accessKeyKey('org_k', sha256)].map(is_there),
      )
      expect(new Set(there).size).toBe(1)
      return there[0]
    }
    for (let seed = 1; seed <= 12; seed += 1) {
      trouble(seed)
      const made = await createApiKey(app, principal, { name: `k${seed}`, role: 'viewer' }).catch((error: unknown) => {
        expect(isPlatformError(error, 'unavailable'), String(error)).toBe(true)
      })
      if (!made) continue
      expect(await together(made.key.id, made.key.sha256)).toBe(true)
      const said = await outcome(revokeApiKey(app, principal, made.key.id))
      const left = await together(made.key.id, made.key.sha256)
      if (said === 'done') expect(left).toBe(false)
      else expect(said).toBe('unavailable')
    }
    calm()
    const { items } = await plain.query({ pk: 'org#org_k', from: 'api-key#', to: 'api-key$', limit: 1000 })
    const access = await plain.query({ pk: 'access#org_k', limit: 1000 })
    expect(access.items.map(({ sk }) => sk).sort()).toEqual(items.map(({ body }) => `key#${String(body.sha256)}`).sort())
  })

  it('writes every usage row once, however often the writing fails', async () => {
    const clock = clockAt('2026-11-20T10:00:00.000Z')
    const log = listeningLog()
    const meter = usageMeter({ records, prices: snapshotPrices(), now: clock.now, log })
    let sent = 0
    for (let round = 0; round < 12; round += 1) {
      trouble(round + 1, 0.8)
      for (const deployment_id of ['dep_a', 'dep_b']) {
        for (let n = 0; n <= round; n += 1) meter.record(sampleAt(clock.now().getTime(), { deployment_id }))
        sent += round + 1
      }
      await meter.flush()
      clock.advance(61_000)
    }
    calm()
    await meter.flush()
    let kept = 0
    for (const deployment_id of ['dep_a', 'dep_b']) {
      const { items } = await plain.query({ pk: `usage#${deployment_id}`, from: 'minute#', to: 'minute#~', limit: 1000 })
      for (const { body } of items) kept += Number(body.requests)
    }
    expect(kept).toBe(sent)
    expect(log.events).toContain('usage_write_failed')
  })

  it('counts deployments as they are, whatever the changes met', async () => {
    calm()
    const world = await makeWorld(plain)
    const made = [await createdIn(world), await createdIn(world, { name: 'other' })]
    const app = { records, now: world.app.now }
    const said: string[] = []
    for (let round = 1; round <= 12; round += 1) {
      trouble(round)
      const changes = made.map(({ id, organization_id }) =>
        changeDeployment(app, { id, organization_id }, (current) => ({
          next: inState(app, current, {
            status: current.status === 'active' ? 'hibernated' : 'active',
            status_reason: null,
            transition: null,
          }),
        })),
      )
      said.push(...(await Promise.all(changes.map(outcome))))
      const stored = await Promise.all(
        made.map(({ id }) => readAnyDeployment({ records: plain }, { organization_id: 'org_1', id })),
      )
      const counted: Record<string, number> = {}
      for (const each of stored) counted[each?.status ?? 'none'] = (counted[each?.status ?? 'none'] ?? 0) + 1
      expect(await countsByStatus({ records: plain }, 'org_1', 'deployment')).toEqual(counted)
    }
    calm()
    await world.stop()
    expect(said).toContain('done')
  })
})
