import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { schedules } from '../../layers/core/contract/schedules.ts'
import { accessUserKey } from '../../layers/core/usecases/access-records.ts'
import { organizationKey } from '../../layers/core/usecases/record-keys.ts'
import { reportScheduleKey } from '../../layers/core/usecases/report-schedule-records.ts'
import { usageMonthKey, usagePartition } from '../../layers/core/usecases/usage-keys.ts'
import { filesPrefix } from '../../layers/deployers/lambda/names.ts'
import { decide, type IamRequest } from '../support/iam-evaluator.ts'
import { closedToGateway, noteImplied } from './iam-implied.ts'
import { deployment, endpoint, gone, idler, leftOver, models, optimized, people, reports } from './life.ts'
import { type Outside, startOutside } from './outside.ts'
import { arn } from './physical.ts'
import { type Platform, startPlatform } from './platform.ts'
import { excuses, ports } from './unseen.ts'
import type { Witness } from './witness.ts'

/** A model's whole life on the synthesised stacks, every call of AWS judged by the role of who made it. */

let outside: Outside
let platform: Platform
let witness: Witness
let lived: Error | undefined
const own = { organization_id: '', deployment_id: '' }

const Me = z.object({ organization_id: z.string() })

/** The report's schedule as if it had been made a month ago, so that it is due. */
const makeDue = async (id: string): Promise<void> => {
  const { client, name: TableName } = platform.cloud.table
  const Key = reportScheduleKey(own.organization_id, id)
  const { Item } = await client.send(new GetCommand({ TableName, Key, ConsistentRead: true }))
  const body = z.looseObject({}).parse(JSON.parse(String(Item?.body)))
  const aged = { ...body, armed_at: '2026-01-01T00:00:00.000Z' }
  const worklist_sk = `${aged.armed_at}#${id}`
  await client.send(new PutCommand({ TableName, Item: { ...Item, worklist_sk, body: JSON.stringify(aged) } }))
}

const authorize = async (): Promise<void> => {
  const requestContext = { identity: { sourceIp: '127.0.0.1' } }
  const headers = { authorization: `Bearer ${await platform.token()}` }
  const methodArn = arn('execute-api', 'api/dev/GET/models')
  await platform.cloud.invoke('authorizer', { type: 'REQUEST', methodArn, headers, requestContext })
}

const live = async (): Promise<void> => {
  const [key, uploaded] = await Promise.all([people(platform), models(platform)])
  const [id, schedule] = await Promise.all([
    deployment(platform, uploaded, key),
    reports(platform),
    optimized(platform, uploaded.in_parts),
    idler(platform, uploaded.whole),
    leftOver(platform, uploaded.in_parts),
    endpoint(platform, uploaded.whole),
    authorize(),
  ])
  own.deployment_id = id
  own.organization_id = Me.parse((await platform.call('GET', '/auth/me')).body).organization_id
  await makeDue(schedule)
  const { 'reconcile-deployments': last, ...others } = schedules
  await Promise.all([gone(platform, id), ...Object.keys(others).map((name) => platform.cloud.invoke(`schedule-${name}`))])
  await platform.cloud.invoke(`schedule-${last.id}`)
  await platform.cloud.invoke('teardown', { remove: false })
  await platform.cloud.invoke('teardown', { remove: true })
}

beforeAll(async () => {
  outside = await startOutside()
  platform = await startPlatform({
    ticks: false,
    wishes: {
      witness: true,
      endpoints: outside.endpoints,
      elsewhere: outside.elsewhere,
      context: { mailFrom: 'AI Deploy <reports@example.com>', gatewayAuthorizer: 'true', rolloutSeconds: '1' },
    },
  })
  if (!platform.cloud.witness) throw new Error('The cloud has no witness')
  witness = platform.cloud.witness
  await live().catch((error: Error) => {
    lived = error
  })
  const models_called = [...new Set(witness.calls().map(({ caller }) => caller))].filter((caller) => caller.includes('-m-dep_'))
  noteImplied(platform.cloud.ofType, witness, models_called)
})
afterAll(async () => {
  await platform?.stop()
  await platform?.remove()
  await outside.stop()
})

const shown = ({ caller, action, resource = '' }: { caller: string; action: string; resource?: string }): string =>
  `${caller}: ${action} ${resource}`

describe('the life', () => {
  it('was lived to its end, with a mail and nothing left behind', () => {
    expect(lived).toBeUndefined()
    expect(outside.mails).toHaveLength(1)
    expect([...platform.cloud.lambda.state.functions.keys(), ...platform.cloud.lambda.state.roles.keys()]).toEqual([])
    expect(platform.cloud.bus.dead).toEqual([])
  })

  it('was seen whole: every function of the platform asked for something that could be judged', () => {
    expect(witness.failures()).toEqual([])
    const callers = new Set(witness.calls().map(({ caller }) => caller))
    const functions = platform.cloud.ofType('AWS::Lambda::Function').map(({ properties }) => String(properties.FunctionName))
    expect(functions.filter((name) => !callers.has(name))).toEqual([])
    expect(witness.calls().length).toBeGreaterThan(300)
  })
})

describe('roles', () => {
  it('suffice for every call', () => {
    const refused = witness.calls().filter((call) => call.refused !== undefined)
    expect(refused.map((call) => `${shown(call)} ${call.refused} ${JSON.stringify(call.context)}`)).toEqual([])
  })

  it('allow nothing that nobody uses, but for what is excused', () => {
    const seen = new Set(witness.calls().map(({ caller, action }) => `${caller} ${action}`))
    const elsewhere = new Set(witness.calls().map(({ action }) => action))
    const byPort = ({ caller, action }: { caller: string; action: string }): boolean =>
      elsewhere.has(action) && ports.some((port) => port.includes(action) && port.some((one) => seen.has(`${caller} ${one}`)))
    const unseen = witness.granted().filter((grant) => !seen.has(`${grant.caller} ${grant.action}`) && !byPort(grant))
    const used = new Set<string>()
    const inexcusable = unseen.filter(({ caller, action }) => {
      const excuse = excuses.find(
        (one) => one.caller.test(caller) && one.action.test(action) && (!one.seen_elsewhere || elsewhere.has(action)),
      )
      if (excuse) used.add(excuse.reason)
      return excuse === undefined
    })
    expect(inexcusable.map(shown)).toEqual([])
    expect(excuses.filter(({ reason }) => !used.has(reason)).map(({ reason }) => reason)).toEqual([])
  })

  it('fit into what IAM keeps: 10,240 characters of inline policies a role', () => {
    const large = witness.sizes().filter(({ characters }) => characters > 10_240)
    expect(large).toEqual([])
  })

  it('of the gateway: every function behind it may be invoked by it', () => {
    expect(closedToGateway(platform.cloud.ofType, platform.cloud.behindGateway)).toEqual([])
  })
})

describe('the function of a deployment', () => {
  const table = arn('dynamodb', 'table/aideploy-dev-records')
  const asks = (action: string, resource: string, partition?: string): IamRequest => ({
    action,
    resource,
    context: {
      'aws:SecureTransport': ['true'],
      ...(partition !== undefined && { 'dynamodb:LeadingKeys': [partition] }),
    },
  })
  const bucket = (): string => platform.cloud.bucket
  const file = (deployment_id: string): string => `arn:aws:s3:::${bucket()}/${filesPrefix(deployment_id)}r1/model.onnx`
  const allowed = (request: IamRequest): boolean =>
    decide(request, witness.policiesOf(`aideploy-dev-m-${own.deployment_id}`)).allowed

  it('reads its own model, callers and usage, and writes its own usage', () => {
    const { organization_id, deployment_id } = own
    expect(allowed(asks('s3:GetObject', file(deployment_id)))).toBe(true)
    expect(allowed(asks('dynamodb:GetItem', table, accessUserKey(organization_id, 'u').pk))).toBe(true)
    expect(allowed(asks('dynamodb:PutItem', table, usagePartition(deployment_id)))).toBe(true)
  })

  it.each([
    ['reading another model', () => asks('s3:GetObject', file('dep_other'))],
    ['reading the models’ originals', () => asks('s3:GetObject', `arn:aws:s3:::${bucket()}/models/m/model.onnx`)],
    ['writing its own model', () => asks('s3:PutObject', file(own.deployment_id))],
    ['listing the bucket', () => asks('s3:ListBucket', `arn:aws:s3:::${bucket()}`)],
    ['another organisation’s callers', () => asks('dynamodb:GetItem', table, accessUserKey('org_other', 'u').pk)],
    ['another organisation’s month', () => asks('dynamodb:GetItem', table, usageMonthKey('org_other', 0).pk)],
    ['another deployment’s usage', () => asks('dynamodb:GetItem', table, usagePartition('dep_other'))],
    ['writing another deployment’s usage', () => asks('dynamodb:PutItem', table, usagePartition('dep_other'))],
    ['writing its callers', () => asks('dynamodb:PutItem', table, accessUserKey(own.organization_id, 'u').pk)],
    [
      'its organisation’s documents',
      () => asks('dynamodb:GetItem', table, organizationKey(own.organization_id, 'deployment', 'x').pk),
    ],
    ['an index', () => asks('dynamodb:Query', `${table}/index/worklist`, 'deployments#active')],
    ['the whole table', () => asks('dynamodb:Scan', table)],
    ['another log', () => asks('logs:PutLogEvents', arn('logs', 'log-group:/aideploy/dev/m/dep_other:log-stream:x'))],
    ['making roles', () => asks('iam:CreateRole', 'arn:aws:iam::123456789012:role/aideploy/dev/aideploy-dev-m-x')],
  ])('is refused %s', (_, request) => {
    expect(allowed(request())).toBe(false)
  })
})
