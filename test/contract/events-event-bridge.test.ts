import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { deliverBatch } from '../../functions/entry/queue-batch.ts'
import type { PlatformEvent } from '../../layers/core/contract/events.ts'
import { JsonObject } from '../../layers/core/domain/json.ts'
import { eventBridgeEvents } from '../../layers/events/event-bridge.ts'
import { startAwsJsonServer } from '../support/aws-json-server.ts'
import { type Emulator, hasMoto, startMoto } from '../support/emulators.ts'
import { eventBridgeClient, eventChain, lambdaEvent } from '../support/event-bridge-emulator.ts'
import { failure } from '../support/records.ts'
import { eventOf, eventsContract, numbered } from './events.ts'

const suite = (): void => {
  let moto: Emulator
  let houses = 0
  beforeAll(async () => {
    moto = await startMoto()
  })
  afterAll(() => moto.stop())
  eventsContract(
    'on EventBridge and SQS (moto)',
    async (subscribers) => {
      houses += 1
      const bus = `aideploy-dev-${houses}`
      const events = eventBridgeEvents({ client: () => chain.bridge, bus })
      for (const [name, handle] of subscribers) events.subscribe(name, handle)
      const delivered = new Map(
        [...subscribers.keys()].map((name) => [name, (event: PlatformEvent) => events.deliver(name, event)]),
      )
      const chain = await eventChain(moto.endpoint, bus, delivered)
      return { events, settle: chain.settle, parked: chain.parked, close: async () => chain.close() }
    },
    [{ reason: 'neither EventBridge nor an SQS standard queue promises an order', tests: ['keep the order of one publisher'] }],
  )
}

describe('EventBridge', () => {
  if (hasMoto()) suite()
  else it.skip('left out: python3 has no moto', () => {})
})

/** PutEvents on loopback, with the quotas of the service; `refuse` says which entries of a call fail, and with what code. */
const bridge = async (refuse: (id: string, call: number) => string | undefined = () => undefined) => {
  const taken: string[] = []
  const sizes: { entries: number; bytes: number }[] = []
  let calls = 0
  const server = await startAwsJsonServer({
    PutEvents: ({ Entries }) => {
      calls += 1
      const entries = Array.isArray(Entries) ? Entries.map((entry) => JsonObject.parse(entry)) : []
      const bytes = entries.reduce(
        (sum, { Source, DetailType, Detail }) => sum + 14 + Buffer.byteLength(`${Source}${DetailType}${Detail}`),
        0,
      )
      sizes.push({ entries: entries.length, bytes })
      const results = entries.map(({ Detail, EventBusName }) => {
        const { id } = JSON.parse(String(Detail))
        const code = EventBusName === 'aideploy-dev' ? refuse(id, calls) : 'NoSuchBus'
        if (code !== undefined) return { ErrorCode: code, ErrorMessage: 'refused' }
        taken.push(id)
        return { EventId: crypto.randomUUID() }
      })
      return { FailedEntryCount: results.filter((result) => 'ErrorCode' in result).length, Entries: results }
    },
  })
  const client = eventBridgeClient(server.endpoint)
  onTestFinished(async () => {
    client.destroy()
    await server.stop()
  })
  return { taken, sizes, server, events: eventBridgeEvents({ client: () => client, bus: 'aideploy-dev', retry_ms: 1 }) }
}

const ids = (events: PlatformEvent[]) => events.map(({ id }) => id)

describe('publishing to EventBridge', () => {
  it('sends again what failed of a batch, and only that', async () => {
    const { events, taken, sizes } = await bridge((id, call) =>
      call <= 2 && ['evt_1', 'evt_7'].includes(id) ? 'ThrottlingException' : undefined,
    )
    await events.publish(numbered(10))
    expect(taken.toSorted()).toEqual(ids(numbered(10)).toSorted())
    expect(sizes.map(({ entries }) => entries)).toEqual([10, 2, 2])
  })

  it('fails when entries stay refused, at once when that cannot change', async () => {
    const throttled = await bridge((id) => (id === 'evt_2' ? 'ThrottlingException' : undefined))
    expect((await failure('unavailable', throttled.events.publish(numbered(3)))).message).toMatch(/did not take 1 of 3 events/)
    expect(throttled.sizes).toHaveLength(5)
    const denied = await bridge((id) => (id === 'evt_2' ? 'NotAuthorizedForSourceException' : undefined))
    expect((await failure('internal', denied.events.publish(numbered(3)))).message).toMatch(/NotAuthorizedForSource/)
    expect(denied.sizes).toHaveLength(1)
  })

  it('loses nothing to a throttled call, a 500 or a lost answer; what was taken before may come twice', async () => {
    const { events, taken, server } = await bridge()
    for (const how of ['fail', 'lose', 'throttle'] as const) server.misbehave('PutEvents', how)
    await failure('unavailable', events.publish(numbered(4)))
    await events.publish(numbered(4))
    expect([...new Set(taken)].toSorted()).toEqual(ids(numbered(4)))
  })

  it('keeps to ten entries and 256 kB a call, in order', async () => {
    const { events, taken, sizes } = await bridge()
    const all = Array.from({ length: 33 }, (_, n) => eventOf(n, { text: 'ü'.repeat(n % 3 === 0 ? 60_000 : 10) }))
    await events.publish(all)
    expect(taken).toEqual(ids(all))
    expect(sizes.every(({ entries, bytes }) => entries <= 10 && bytes <= 262_144)).toBe(true)
    expect(sizes.length).toBeLessThan(12)
  })

  it('refuses an event that is too large by name, after all others', async () => {
    const { events, taken } = await bridge()
    const large = eventOf(1, { text: 'x'.repeat(262_144) })
    const { message } = await failure('invalid_request', events.publish([eventOf(0), large, eventOf(2)]))
    expect(message).toMatch(/^Event evt_1 \(deployment\.failed\) has 262\d{3} bytes; EventBridge takes 262144$/)
    expect(taken).toEqual(['evt_0', 'evt_2'])
  })
})

describe('a queue', () => {
  it('answers which messages failed, and no others with them', async () => {
    const log = { info() {}, warn() {}, error() {} }
    const run = async ({ id }: PlatformEvent): Promise<void> => {
      if (id === 'evt_1') throw new Error('not now')
    }
    const message = (n: number, body: string) => ({ MessageId: `m${n}`, Body: body })
    const bodies = numbered(3).map((event, n) => message(n, JSON.stringify({ 'detail-type': event.type, detail: event })))
    const batch = lambdaEvent([...bodies, message(3, 'no JSON'), message(4, '{"detail":{"id":7}}')])
    const answer = await deliverBatch(batch, { id: 'test', run, log })
    expect(answer.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier)).toEqual(['m1', 'm3', 'm4'])
  })

  it('that nobody in this process reads says so', async () => {
    const { events } = await bridge()
    events.subscribe('audit', async () => {})
    await failure('not_found', events.deliver('webhooks', eventOf(0)))
    expect(() => events.subscribe('audit', async () => {})).toThrow(/audit already/)
  })
})
