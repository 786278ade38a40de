import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { PlatformEvent } from '../../../layers/core/contract/events.ts'
import type { JsonObject } from '../../../layers/core/domain/json.ts'
import type { RecordChange } from '../../../layers/core/ports/record-changes.ts'
import { eventsFromChange } from '../../../layers/core/usecases/derive-events.ts'
import { pumpChanges } from '../../../layers/core/usecases/pump-changes.ts'
import { inProcessEvents } from '../../../layers/events/in-process.ts'
import { sqliteRecords } from '../../../layers/records/sqlite.ts'
import { keptLog, scratchFolder, tickingClock } from '../../support/identity.ts'

const deployment = (status: string, more: JsonObject = {}): JsonObject => ({
  id: 'dep_1',
  name: 'digits',
  deployment_type: 'serverless',
  model_id: 'mod_1',
  status,
  status_reason: null,
  revision: 1,
  endpoint: null,
  deployer_state: { socket: '/run/secret.sock' },
  metadata: { mine: true },
  ...more,
})
const model = (more: JsonObject = {}): JsonObject => ({
  id: 'mod_1',
  name: 'digits',
  framework: 'onnx',
  version: '1',
  size_bytes: 10,
  sha256: 'ab',
  status: 'active',
  ...more,
})
const optimization = (status: string): JsonObject => ({
  id: 'opt_1',
  original_model_id: 'mod_1',
  optimization_method: 'quantization',
  status,
  size_reduction_percentage: 70,
  latency_reduction_percentage: null,
  accuracy_change_percentage: -1,
  target_met: null,
  attempts: [],
})

const change = (sk: string, old: JsonObject | undefined, next: JsonObject | undefined, pk = 'org#org_1'): RecordChange => ({
  sequence: 7,
  kind: old ? (next ? 'modify' : 'remove') : 'insert',
  key: { pk, sk },
  ...(old && { old: { pk, sk, version: 'a', body: old } }),
  ...(next && { new: { pk, sk, version: 'b', body: next } }),
  at: Date.parse('2026-11-21T12:00:00.000Z'),
})
const types = (...args: Parameters<typeof change>): string[] => eventsFromChange(change(...args)).map(({ type }) => type)
const moves = (from: string, to: string, before: JsonObject = {}, after: JsonObject = {}) =>
  types('deployment#dep_1', deployment(from, before), deployment(to, after))

describe('events from changes', () => {
  it('tell of models, optimisations and deployments', () => {
    expect(types('model#mod_1', undefined, model())).toEqual(['model.created'])
    expect(types('model#mod_1', undefined, model({ status: 'uploading' }))).toEqual([])
    expect(types('model#mod_1', model({ status: 'uploading' }), model())).toEqual(['model.created'])
    expect(types('model#mod_1', model(), model({ status: 'inactive' }))).toEqual([])
    expect(types('model#mod_1', model(), undefined)).toEqual(['model.deleted'])
    expect(types('model#mod_1', model(), model({ deleted_at: '2026-11-21T12:00:00.000Z' }))).toEqual(['model.deleted'])
    expect(types('optimization#opt_1', undefined, optimization('optimizing'))).toEqual([])
    expect(types('optimization#opt_1', optimization('optimizing'), optimization('completed'))).toEqual(['optimization.completed'])
    expect(types('optimization#opt_1', optimization('optimizing'), optimization('failed'))).toEqual(['optimization.failed'])
    expect(types('optimization#opt_1', optimization('completed'), optimization('completed'))).toEqual([])
    expect(types('deployment#dep_1', undefined, deployment('creating'))).toEqual(['deployment.created'])
  })

  it('tell once of every candidate of an optimisation that came to its end, with what was found', () => {
    const attempt = (slot: number, more: JsonObject = {}): JsonObject => ({
      name: 'dynamic-int8',
      settings: { slot },
      slot,
      verdict: 'rejected',
      reason: 'Built',
      artifact: `candidate-${slot}`,
      ...more,
    })
    const candidate = { size_bytes: 300, p50_ms: 2.5, p95_ms: 3, runs: 30 }
    const measured = attempt(0, { verdict: 'accepted', reason: 'Accepted', candidate })
    const skipped = { name: 'int4', settings: {}, verdict: 'skipped', reason: 'Not built' }
    const at = (...attempts: JsonObject[]): JsonObject => ({ ...optimization('optimizing'), attempts, plan: [{}, {}, {}] })
    const tell = (before: JsonObject, after: JsonObject) => eventsFromChange(change('optimization#opt_1', before, after))
    expect(tell(at(), at(attempt(0)))).toEqual([])
    expect(tell(at(attempt(0)), at(measured))).toEqual([
      expect.objectContaining({
        type: 'optimization.progressed',
        data: expect.objectContaining({
          id: 'opt_1',
          status: 'optimizing',
          tried: 1,
          planned: 3,
          attempt: {
            name: 'dynamic-int8',
            settings: { slot: 0 },
            verdict: 'accepted',
            reason: 'Accepted',
            size_bytes: 300,
            p50_ms: 2.5,
          },
        }),
      }),
    ])
    expect(tell(at(measured), at(measured, skipped, attempt(1)))).toEqual([])
    const failed = attempt(1, { verdict: 'failed', reason: 'No' })
    expect(tell(at(measured, skipped, attempt(1)), at(measured, skipped, failed)).map(({ data }) => data.tried)).toEqual([2])
    expect(
      tell(at(measured), { ...at({ ...measured, verdict: 'published' }), status: 'completed' }).map(({ type }) => type),
    ).toEqual(['optimization.completed'])
  })

  it('follow a deployment through its life', () => {
    expect(moves('creating', 'active')).toEqual(['deployment.activated'])
    expect(moves('creating', 'active', { revision: 0 }, { revision: 1 })).toEqual(['deployment.activated'])
    expect(moves('active', 'active', {}, { status_reason: 'scaled out' })).toEqual([])
    expect(moves('active', 'hibernating')).toEqual([])
    expect(moves('hibernating', 'hibernated')).toEqual(['deployment.hibernated'])
    expect(moves('hibernated', 'activating')).toEqual([])
    expect(moves('activating', 'active')).toEqual(['deployment.activated'])
    expect(moves('active', 'updating', {}, { revision: 2 })).toEqual([])
    expect(moves('updating', 'active', { revision: 2 }, { revision: 2 })).toEqual(['deployment.updated'])
    expect(moves('updating', 'active', { revision: 1 }, { revision: 1, status_reason: 'revision 2 did not start' })).toEqual([])
    expect(moves('hibernated', 'hibernated', { revision: 1 }, { revision: 2 })).toEqual(['deployment.updated'])
    expect(moves('active', 'failed')).toEqual(['deployment.failed'])
    expect(moves('failed', 'failed')).toEqual([])
    expect(moves('active', 'deleted')).toEqual(['deployment.deleted'])
    expect(moves('deleted', 'deleted')).toEqual([])
    expect(types('deployment#dep_1', deployment('deleted'), undefined)).toEqual([])
  })

  it('leave everything else alone, and internals out', () => {
    expect(types('revision#dep_1#000001', undefined, deployment('active'))).toEqual([])
    expect(types('deployment#dep_1', undefined, deployment('active'), 'platform')).toEqual([])
    expect(types('model', undefined, model())).toEqual([])
    const [event] = eventsFromChange(change('deployment#dep_1', deployment('creating'), deployment('active')))
    expect(event).toEqual({
      id: 'evt_7_deployment.activated',
      type: 'deployment.activated',
      organization_id: 'org_1',
      timestamp: '2026-11-21T12:00:00.000Z',
      data: expect.objectContaining({ id: 'dep_1', status: 'active', previous_status: 'creating' }),
    })
    expect(JSON.stringify(event)).not.toMatch(/secret\.sock|metadata/)
  })
})

describe('the change pump', () => {
  const house = () => {
    const clock = tickingClock()
    const log = keptLog()
    const records = sqliteRecords({ path: join(scratchFolder(), 'records.sqlite'), now: clock.now })
    onTestFinished(() => records.close())
    const events = inProcessEvents({ records, log, now: clock.now })
    const seen: PlatformEvent[] = []
    events.subscribe('audit', async (event) => void seen.push(event))
    const pumping = () => pumpChanges({ records, changes: records.changes, events, log, every_ms: 3_600_000 })
    const put = (sk: string, body: JsonObject) => records.write([{ put: { pk: 'org#org_1', sk, body }, expect: 'any' }])
    return { records, events, seen, pumping, put, log }
  }

  it('publishes what changed, once, over restarts, and falls silent', async () => {
    const { records, events, seen, pumping, put } = house()
    const first = pumping()
    await put('model#mod_1', model())
    await put('deployment#dep_1', deployment('creating'))
    expect(await first.pump()).toBe(2)
    await events.drain()
    for (let round = 0; round < 3; round += 1) expect(await first.pump()).toBe(0)
    const quiet = records.changes(0, 1000).length
    await first.pump()
    expect(records.changes(0, 1000)).toHaveLength(quiet)
    await first.stop()
    await put('deployment#dep_1', deployment('active'))
    const second = pumping()
    expect(await second.pump()).toBe(1)
    await second.stop()
    await events.drain()
    expect(seen.map(({ type }) => type)).toEqual(['model.created', 'deployment.created', 'deployment.activated'])
    expect(new Set(seen.map(({ id }) => id)).size).toBe(3)
  })

  it('reports a document it cannot read and goes on', async () => {
    const { pumping, put, log } = house()
    const pump = pumping()
    await put('model#broken', { id: 5 })
    await put('model#mod_1', model())
    expect(await pump.pump()).toBe(1)
    expect(log.lines.filter((line) => line.includes('change without events'))).toHaveLength(1)
    await pump.stop()
  })
  it('lets others have their turn between batches', async () => {
    const { records, events } = house()
    const turns: string[] = []
    const changes = (after_sequence: number): ReturnType<typeof records.changes> => {
      turns.push(`batch ${after_sequence}`)
      if (after_sequence === 0) setImmediate(() => turns.push('somebody else'))
      if (after_sequence === 2) return []
      const sequence = after_sequence + 1
      return [{ sequence, kind: 'insert', key: { pk: 'other', sk: 'x' }, at: 0 }]
    }
    const pump = pumpChanges({ records, changes, events, every_ms: 3_600_000 })
    expect(await pump.pump()).toBe(0)
    await pump.stop()
    expect(turns).toEqual(['batch 0', 'somebody else', 'batch 1', 'batch 2'])
  })
})
