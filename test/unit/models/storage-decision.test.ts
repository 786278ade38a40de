import { describe, expect, it } from 'vitest'
import {
  decideStorage,
  deletionDate,
  type JudgedModel,
  type StoragePolicy,
} from '../../../layers/core/domain/storage-decision.ts'

const now = new Date('2026-11-20T12:00:00Z')
const daysAgo = (days: number) => new Date(now.getTime() - days * 86_400_000)
const policy: StoragePolicy = { archive_after_days: 90, delete_after_days: 180 }
const never: StoragePolicy = { ...policy, delete_after_days: null }
const prices = { standard_usd_per_gb_month: 0.023, cold_usd_per_gb_month: 0.004 }
const gib = 2 ** 30

type Storage = NonNullable<JudgedModel['storage']>
const storage = (changes: Partial<Storage> = {}): Storage => ({
  form: 'plain',
  busy: null,
  deletion_announced_at: null,
  deletes_at: null,
  ...changes,
})
const model = (changes: Partial<JudgedModel> = {}): JudgedModel => ({
  in_use: false,
  storage: undefined,
  stored_bytes: 10 * gib,
  ...changes,
})
const announced = (days: number, form: Storage['form'] = 'archived') =>
  storage({ form, deletion_announced_at: daysAgo(days).toISOString(), deletes_at: daysAgo(days - 7).toISOString() })
const busyUntil = (at: Date) => storage({ busy: { id: 'cmp_1', until: at.toISOString() } })

describe('what becomes of the files of a model', () => {
  it.each<[string, JudgedModel, Date | undefined, StoragePolicy, string]>([
    ['just made', model(), daysAgo(0.5), policy, 'keep'],
    ['unused for a day', model(), daysAgo(1), policy, 'compress'],
    ['compressed already', model({ storage: storage({ form: 'compressed' }) }), daysAgo(50), policy, 'keep'],
    ['unused for long, not compressed yet', model(), daysAgo(90), never, 'archive'],
    ['compressed, unused for long', model({ storage: storage({ form: 'compressed' }) }), daysAgo(90), never, 'archive'],
    ['archived already', model({ storage: storage({ form: 'archived' }) }), daysAgo(900), never, 'keep'],
    ['no deletion unless a policy says so', model({ storage: announced(30) }), daysAgo(9000), never, 'keep'],
    ['a week before its time', model({ storage: storage({ form: 'archived' }) }), daysAgo(173), policy, 'announce_deletion'],
    ['a moment before that', model({ storage: storage({ form: 'archived' }) }), daysAgo(172.9), policy, 'keep'],
    [
      'long overdue, never announced',
      model({ storage: storage({ form: 'archived' }) }),
      daysAgo(999),
      policy,
      'announce_deletion',
    ],
    ['announced a week ago, time reached', model({ storage: announced(7) }), daysAgo(180), policy, 'delete'],
    ['announced six days ago, time reached', model({ storage: announced(6.9) }), daysAgo(999), policy, 'keep'],
    ['announced, but used since', model({ storage: announced(30) }), daysAgo(1.5), policy, 'keep'],
    [
      'announced, limit raised since',
      model({ storage: announced(30) }),
      daysAgo(200),
      { ...policy, delete_after_days: 300 },
      'keep',
    ],
    ['announced without a date', model({ storage: { ...announced(30), deletes_at: null } }), daysAgo(200), policy, 'keep'],
    [
      'announced at an unreadable time',
      model({ storage: { ...announced(30), deletion_announced_at: 'x' } }),
      daysAgo(200),
      policy,
      'keep',
    ],
    ['deployed', model({ in_use: true, storage: announced(30) }), daysAgo(999), policy, 'keep'],
    ['perhaps deployed', model({ in_use: undefined, storage: announced(30) }), daysAgo(999), policy, 'keep'],
    ['used at an unknown time', model({ storage: announced(30) }), undefined, policy, 'keep'],
    ['used in the future', model(), daysAgo(-1), policy, 'keep'],
    ['used at no time', model({ storage: announced(30) }), new Date(Number.NaN), policy, 'keep'],
    ['being rewritten', model({ storage: busyUntil(daysAgo(-0.01)) }), daysAgo(999), policy, 'keep'],
    [
      'being rewritten until an unreadable time',
      model({ storage: storage({ busy: { id: 'x', until: 'y' } }) }),
      daysAgo(999),
      policy,
      'keep',
    ],
    ['left in the middle by a crash', model({ storage: busyUntil(daysAgo(0.01)) }), daysAgo(2), policy, 'compress'],
  ])('%s', (_, judged, used, by, action) => {
    const decision = decideStorage(judged, used, by, now, prices)
    expect(decision).toMatchObject({ action, reason: expect.stringMatching(/./) })
  })

  it('never deletes what was not announced a week before, whatever the figures', () => {
    for (let unused = 0; unused < 400; unused += 3.7)
      for (let said = 0; said < 20; said += 0.9) {
        const { action } = decideStorage(model({ storage: announced(said) }), daysAgo(unused), policy, now)
        if (action === 'delete') expect([unused >= 180, said >= 7]).toEqual([true, true])
      }
  })

  it('says what it saves, or that there is no price', () => {
    const saves = (judged: JudgedModel, used: Date, given?: typeof prices) =>
      decideStorage(judged, used, policy, now, given).saves_usd_per_month
    expect(saves(model({ storage: storage({ form: 'compressed' }) }), daysAgo(90), prices)).toBeCloseTo(10 * (0.023 - 0.004), 9)
    expect(saves(model({ storage: announced(8) }), daysAgo(200), prices)).toBeCloseTo(10 * 0.004, 9)
    expect(saves(model(), daysAgo(2), prices)).toBeCloseTo(10 * 0.023 * 0.07, 9)
    expect(saves(model(), daysAgo(2))).toBeNull()
  })

  it('announces for a week from now at the earliest', () => {
    expect(deletionDate(daysAgo(173), 180, now)).toEqual(daysAgo(-7))
    expect(deletionDate(daysAgo(500), 180, now)).toEqual(daysAgo(-7))
    expect(deletionDate(daysAgo(100), 180, now)).toEqual(daysAgo(-80))
  })
})
