import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { schedules } from '../../layers/core/contract/schedules.ts'
import { noteImplied } from './iam-implied.ts'
import { deployment, endpoint, gone, idler, models, optimized, people, reports } from './life.ts'
import { type Outside, startOutside } from './outside.ts'
import { type Platform, startPlatform } from './platform.ts'
import type { Witness } from './witness.ts'

let outside: Outside
let platform: Platform
let witness: Witness
const t0 = Date.now()
const mark = (what: string) => console.log(what, Date.now() - t0)

const live = async (): Promise<void> => {
  const [key, uploaded] = await Promise.all([people(platform), models(platform)])
  mark('people, models')
  const [id] = await Promise.all([
    deployment(platform, uploaded, key).finally(() => mark('deployment')),
    optimized(platform, uploaded.in_parts).finally(() => mark('optimized')),
    idler(platform, uploaded.whole).finally(() => mark('idler')),
    endpoint(platform, uploaded.whole).finally(() => mark('endpoint')),
    reports(platform).finally(() => mark('reports')),
  ])
  await Promise.allSettled(
    Object.keys(schedules).map((name) => platform.cloud.invoke(`schedule-${name}`).catch((error) => console.log(name, error))),
  )
  mark('schedules')
  await gone(platform, id)
  mark('gone')
  console.log(await platform.cloud.invoke('teardown', { remove: false }))
  console.log(await platform.cloud.invoke('teardown', { remove: true }))
  mark('teardown')
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
  mark('started')
  if (!platform.cloud.witness) throw new Error('no witness')
  witness = platform.cloud.witness
  await live().catch((e) => console.log('LIFE', e))
  writeFileSync('/tmp/iam-output.txt', platform.cloud.output())
})
afterAll(async () => {
  await platform?.stop()
  await platform?.remove()
  await outside.stop()
})

describe('roles', () => {
  it('unseen', () => {
    noteImplied(platform.cloud.ofType, witness)
    const seen = new Set(witness.calls().map(({ caller, action }) => `${caller} ${action}`))
    const unseen = witness.granted().filter(({ caller, action }) => !seen.has(`${caller} ${action}`))
    writeFileSync('/tmp/iam-unseen.json', JSON.stringify(unseen))
    console.log(witness.granted().length, unseen.length)
  })

  it('suffice', () => {
    writeFileSync('/tmp/iam-calls.json', JSON.stringify(witness.calls(), null, 1))
    expect(witness.failures()).toEqual([])
    const refused = witness.calls().filter((call) => call.refused)
    expect(refused.map((call) => `${call.caller}: ${call.action} on ${call.resource} ${call.refused}`)).toEqual([])
  })
})
