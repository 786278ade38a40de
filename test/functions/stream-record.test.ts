import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DynamoDBRecord } from 'aws-lambda'
import { afterAll, describe, expect, it, vi } from 'vitest'
import type { PlatformEvent } from '../../layers/core/contract/events.ts'
import type { JsonObject } from '../../layers/core/domain/json.ts'

const home = mkdtempSync(join(tmpdir(), 'stream-record-'))
vi.stubEnv('AIDEPLOY_HOME', home)
const { host } = await import('../../layers/compose/embedded.ts')
const { handler } = await import('../../functions/entry/stream-record.ts')

afterAll(async () => {
  await host.events.stop()
  await host.processes.stop()
  host.records.close()
  rmSync(home, { recursive: true, force: true })
})

const model = { id: 'mod_1', name: 'digits', framework: 'onnx', version: '1', size_bytes: 10, sha256: 'ab', status: 'active' }
const keys = (sk: string) => ({ pk: { S: 'org#org_1' }, sk: { S: sk } })
const image = (sk: string, body: JsonObject) => ({
  ...keys(sk),
  version: { S: 'v1' },
  body: { S: JSON.stringify(body) },
  lookup_pk: { S: 'x' },
  expires_at: { N: '1900000000' },
})

/** A record as DynamoDB Streams hand it to Lambda. */
const record = (sequence: string, sk: string, old: JsonObject | undefined, next: JsonObject | undefined): DynamoDBRecord => ({
  eventID: sequence,
  eventName: old ? (next ? 'MODIFY' : 'REMOVE') : 'INSERT',
  eventSource: 'aws:dynamodb',
  dynamodb: {
    ApproximateCreationDateTime: 1_795_262_400,
    Keys: keys(sk),
    ...(old && { OldImage: image(sk, old) }),
    ...(next && { NewImage: image(sk, next) }),
    SequenceNumber: sequence,
    StreamViewType: 'NEW_AND_OLD_IMAGES',
  },
})

describe('the stream of record changes', () => {
  it('becomes events, the same ones when a batch comes twice, and skips what it cannot read', async () => {
    const seen: PlatformEvent[] = []
    host.events.subscribe('test', async (event) => void seen.push(event))
    const batch = [
      record('100000000000000000001', 'model#mod_1', undefined, model),
      record('100000000000000000002', 'model#bad', undefined, { id: 7 }),
      record('100000000000000000003', 'user#usr_1', undefined, { id: 'usr_1' }),
      record('100000000000000000004', 'model#mod_1', model, undefined),
    ]
    await handler({ Records: batch })
    await handler({ Records: batch })
    await host.events.drain()
    const wanted = ['evt_100000000000000000001_model.created', 'evt_100000000000000000004_model.deleted']
    expect(seen.map(({ id }) => id)).toEqual([...wanted, ...wanted])
    expect(seen[0]).toMatchObject({ organization_id: 'org_1', timestamp: '2026-11-21T12:00:00.000Z', data: { name: 'digits' } })
  })
})
