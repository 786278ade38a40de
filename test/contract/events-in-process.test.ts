import { inProcessEvents } from '../../layers/events/in-process.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { eventsContract } from './events.ts'

eventsContract('in process', async (subscribers) => {
  const now = () => new Date()
  const records = sqliteRecords({ path: ':memory:', now })
  const log = { info() {}, warn() {}, error() {} }
  const events = inProcessEvents({ records, log, now, retry_ms: [0, 0, 0, 0] })
  for (const [name, handle] of subscribers) events.subscribe(name, handle)
  return {
    events,
    settle: async () => {
      for (let attempt = 0; attempt < 6; attempt += 1) await events.drain()
    },
    parked: async (name) => (await events.parked(name)).map(({ event }) => event.id),
    close: async () => {
      await events.stop()
      records.close()
    },
  }
})
