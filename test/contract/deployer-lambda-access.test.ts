import { expect, test } from 'vitest'
import * as z from 'zod'
import { priceBookFrom } from '../../layers/core/domain/price.ts'
import type { Records } from '../../layers/core/ports/records.ts'
import { accessUserKey } from '../../layers/core/usecases/access-records.ts'
import { authenticateCaller } from '../../layers/core/usecases/authenticate-caller.ts'
import { usageMeter } from '../../layers/core/usecases/meter-usage.ts'
import { rolePolicy } from '../../layers/deployers/lambda/policy.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { silentLog } from '../support/deployments.ts'
import { inferText, remembered } from '../support/lambda-bench.ts'
import { lambdaStage, name, scaling } from '../support/lambda-stage.ts'
import { sampleAt } from '../support/usage.ts'

const stage = lambdaStage()

test('the role reads its own model and its callers, and writes its own usage and log', async () => {
  await stage.up({ organization_id: 'org_7' })
  const { Statement } = z
    .object({
      Statement: z.array(
        z.object({ Action: z.array(z.string()), Resource: z.array(z.string()), Condition: z.unknown().optional() }),
      ),
    })
    .parse(JSON.parse(stage.cloud.state.roles.get(name)?.policies.get('model') ?? ''))
  const table = 'arn:aws:dynamodb:us-east-1:123456789012:table/aideploy-test-records'
  const keys = (...partitions: string[]) => ({ 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': partitions } })
  expect(Statement).toEqual([
    { Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::aideploy-artifacts/deployments/dep_1/*'] },
    {
      Action: ['dynamodb:GetItem'],
      Resource: [table],
      Condition: keys(accessUserKey('org_7', 'u').pk, 'usage-month#org_7', 'usage#dep_1'),
    },
    { Action: ['dynamodb:PutItem'], Resource: [table], Condition: keys('usage#dep_1') },
    {
      Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      Resource: ['arn:aws:logs:us-east-1:123456789012:log-group:/aideploy/test/m/dep_1:*'],
    },
  ])
})

test('IAM lets the platform make every call that a deployment’s life takes, and no other', async () => {
  const second = { revision: 2, metadata: { rollout_seconds: 15 }, ...scaling(1, 2) }
  stage.broken.add(3)
  const target = await stage.up(scaling(1, 2))
  const updated = remembered(target, await stage.bench.deployer.deploy(await stage.bench.target(second)))
  const next = { ...updated, deployment: { ...updated.deployment, revision: 2 } }
  await stage.bench.deployer.deploy(await stage.bench.target({ revision: 3 })).catch(() => undefined)
  await stage.bench.deployer.shift?.(next, null)
  await inferText(stage.bench.deployer, next, '{}').catch(() => undefined)
  stage.cloud.state.functions.get(name)?.aliases.get('live')?.statements.clear()
  Object.assign(stage.live().url?.config ?? {}, { AuthType: 'AWS_IAM' })
  Object.assign(stage.cloud.state.roles.get(name) ?? {}, { boundary: undefined, trust: '{}' })
  await stage.bench.deployer.reconcile?.(next)
  stage.cloud.options.concurrency = 101
  await stage.bench.deployer.deploy(await stage.bench.target({ revision: 4 }))
  await stage.bench.deployer.hibernate(next)
  await stage.bench.deployer.sweep?.(async () => false)
  const used = new Set(stage.cloud.calls.map((call) => call.replace(/^Invoke.*/, 'InvokeFunction')))
  // Asked for by AWS itself while it does what was called.
  const alarms = ['DescribeAlarms', 'PutMetricAlarm', 'DeleteAlarms']
  const implied = ['TagResource', 'TagRole', 'GetLayerVersion', 'PassRole', 'CreateServiceLinkedRole', ...alarms]
  const granted = new Set(stage.bench.deployer.needs.map((action) => action.split(':')[1] ?? ''))
  expect([...used].filter((call) => !granted.has(call))).toEqual([])
  expect([...granted].filter((action) => !used.has(action) && !implied.includes(action))).toEqual([])
  expect(stage.bench.deployer.needs.filter((action) => action.includes('*'))).toEqual([])
})

test('what a function meters and whom it lets in stays within the partitions of its role', async () => {
  const touched = { read: new Set<string>(), written: new Set<string>() }
  const store = sqliteRecords({ path: ':memory:', now: () => new Date() })
  const records: Records = {
    get: (key) => {
      touched.read.add(key.pk)
      return store.get(key)
    },
    query: (query) => {
      touched.read.add(query.pk)
      return store.query(query)
    },
    write: (operations) => {
      for (const operation of operations) touched.written.add('put' in operation ? operation.put.pk : 'no put')
      return store.write(operations)
    },
  }
  const meter = usageMeter({ records, prices: priceBookFrom('none', []), now: () => new Date(), log: silentLog })
  meter.record(sampleAt(Date.now(), { organization_id: 'org_7' }))
  await meter.flush()
  const caller = {
    records,
    identity: {
      verify: async () => ({ user_id: 'u', username: 'n', organization_id: 'org_7', expires_at: '2999-01-01T00:00:00Z' }),
    },
    now: () => new Date(),
  }
  await authenticateCaller(caller, 'org_7', { authorization: 'Bearer t', api_key: undefined, source_ip: '127.0.0.1' }).catch(
    () => undefined,
  )
  await authenticateCaller(caller, 'org_7', { authorization: undefined, api_key: 'aik_x', source_ip: '127.0.0.1' }).catch(
    () => undefined,
  )
  const statements = rolePolicy(stage.bench.parts, { id: 'dep_1', organization_id: 'org_7' }).Statement
  const allowed = (action: string) =>
    statements
      .filter(({ Action }) => Action.includes(action))
      .flatMap(({ Condition }) => Condition?.['ForAllValues:StringEquals']?.['dynamodb:LeadingKeys'] ?? [])
  expect([...touched.written]).toEqual(['usage#dep_1'])
  expect(allowed('dynamodb:PutItem')).toEqual(['usage#dep_1'])
  expect(touched.read).toContain('access#org_7')
  expect([...touched.read].filter((partition) => !allowed('dynamodb:GetItem').includes(partition))).toEqual([])
  expect((await store.query({ pk: 'usage#dep_1' })).items.length).toBe(2)
})

test('the role may write samples of its own requests where they are kept, and nowhere else', () => {
  const owned = { id: 'dep_1', organization_id: 'org_7' }
  const writable = (deployment: Parameters<typeof rolePolicy>[1]) =>
    rolePolicy(stage.bench.parts, deployment)
      .Statement.filter(({ Action }) => Action.includes('s3:PutObject'))
      .flatMap(({ Resource }) => Resource)
  expect(writable(owned)).toEqual([])
  expect(writable({ ...owned, record_requests: null })).toEqual([])
  expect(writable({ ...owned, record_requests: { rows: 8 } })).toEqual([
    expect.stringMatching(/^arn:aws:s3:::[a-z-]+\/samples\/org_7\/dep_1\/\*$/),
  ])
})
