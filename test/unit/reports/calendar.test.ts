import { describe, expect, it } from 'vitest'
import {
  instantOf,
  isTimeZone,
  lastDue,
  nextDue,
  periodBefore,
  periodBeforeThat,
  startOfDay,
  type Timing,
  wallTime,
} from '../../../layers/core/domain/report-calendar.ts'

const iso = (at_ms: number) => new Date(at_ms).toISOString().slice(0, 16)
const timing = (changes: Partial<Timing>): Timing => ({
  frequency: 'daily',
  weekday: 1,
  day: 1,
  hour: 7,
  time_zone: 'UTC',
  ...changes,
})
const at = (text: string) => Date.parse(text)

describe('the moment a wall clock shows a time', () => {
  it.each([
    ['Europe/Berlin', '2027-03-27', 2, '2027-03-27T01:00', 'the day before summer time'],
    ['Europe/Berlin', '2027-03-28', 1, '2027-03-28T00:00', 'the last hour of winter'],
    ['Europe/Berlin', '2027-03-28', 2, '2027-03-28T01:00', 'the hour that is skipped: 03:00 is shown instead'],
    ['Europe/Berlin', '2027-03-28', 3, '2027-03-28T01:00', 'the first hour of summer'],
    ['Europe/Berlin', '2026-10-25', 1, '2026-10-24T23:00', 'before the hour that comes twice'],
    ['Europe/Berlin', '2026-10-25', 2, '2026-10-25T00:00', 'the first of two'],
    ['Europe/Berlin', '2026-10-25', 3, '2026-10-25T02:00', 'after both'],
    ['Australia/Lord_Howe', '2026-10-04', 1, '2026-10-03T14:30', 'half an hour of summer time: before'],
    ['Australia/Lord_Howe', '2026-10-04', 2, '2026-10-03T15:30', 'skipped: 02:30 is shown instead'],
    ['Australia/Lord_Howe', '2026-10-04', 3, '2026-10-03T16:00', 'after'],
    ['Australia/Lord_Howe', '2027-04-04', 2, '2027-04-03T15:30', 'the end of it, after the half hour that comes twice'],
    ['Pacific/Kiritimati', '2026-11-20', 0, '2026-11-19T10:00', 'UTC+14'],
    ['Pacific/Pago_Pago', '2026-11-20', 23, '2026-11-21T10:00', 'UTC-11'],
    ['Asia/Kathmandu', '2026-11-20', 7, '2026-11-20T01:15', 'a quarter of an hour'],
    ['America/Sao_Paulo', '2018-11-04', 0, '2018-11-04T03:00', 'a day without midnight'],
    ['Africa/Cairo', '2027-04-30', 0, '2027-04-29T22:00', 'midnight skipped on a Friday'],
    ['America/New_York', '2026-11-01', 1, '2026-11-01T05:00', 'the first of two'],
  ])('in %s on %s at %i is %s (%s)', (zone, date, hour, wanted) => {
    const found = instantOf({ date, hour, minute: 0 }, zone)
    expect(iso(found)).toBe(wanted)
    expect(wallTime(found, zone).date).toBe(date)
  })

  it('is the inverse of the wall clock for every hour of a year that is not skipped', () => {
    for (const zone of ['Europe/Berlin', 'Australia/Lord_Howe'])
      for (let at_ms = at('2026-01-01T00:00Z'); at_ms < at('2027-01-01T00:00Z'); at_ms += 3_600_000) {
        const wall = wallTime(at_ms, zone)
        const back = instantOf(wall, zone)
        // Of an hour that comes twice it is the first.
        expect([0, 1_800_000, 3_600_000]).toContain(at_ms - back)
        expect(wallTime(back, zone)).toEqual(wall)
      }
  })

  it('takes names of zones only', () => {
    expect(['UTC', 'Europe/Berlin', 'America/Argentina/Ushuaia', 'Etc/GMT+5'].map(isTimeZone)).toEqual([true, true, true, true])
    const wrong = ['', '+02:00', 'Mars/Olympus', 'Europe/Berlin ', '../etc', 'Europe/', 'a\nb', 'x'.repeat(60)]
    expect(wrong.map(isTimeZone)).toEqual(wrong.map(() => false))
  })
})

describe('due times', () => {
  it('are one a day, also on the days of change', () => {
    for (const zone of ['Europe/Berlin', 'Australia/Lord_Howe'])
      for (const hour of [0, 2, 23]) {
        const due = timing({ time_zone: zone, hour })
        const dates: string[] = []
        for (let now = at('2026-01-01T12:00Z'); dates.length < 365; ) {
          const next = nextDue(due, now)
          expect(next.at_ms).toBeGreaterThan(now)
          expect(lastDue(due, next.at_ms)).toEqual(next)
          expect(lastDue(due, next.at_ms - 1).date < next.date).toBe(true)
          dates.push(next.date)
          now = next.at_ms
        }
        expect(new Set(dates).size).toBe(365)
      }
  })

  it('fall on the weekday or the day of the month', () => {
    const monday = timing({ frequency: 'weekly', weekday: 1, time_zone: 'Europe/Berlin' })
    expect(iso(nextDue(monday, at('2026-11-20T12:00Z')).at_ms)).toBe('2026-11-23T06:00')
    expect(lastDue(monday, at('2026-11-20T12:00Z')).date).toBe('2026-11-16')
    expect(nextDue(timing({ frequency: 'weekly', weekday: 7 }), at('2026-11-22T07:00Z')).date).toBe('2026-11-29')
    const monthly = timing({ frequency: 'monthly', day: 28 })
    expect(nextDue(monthly, at('2027-02-28T07:00Z')).date).toBe('2027-03-28')
    expect(lastDue(monthly, at('2027-03-28T06:59Z')).date).toBe('2027-02-28')
  })
})

describe('periods', () => {
  it('are the whole local days before', () => {
    const zone = 'Europe/Berlin'
    expect(periodBefore('daily', '2026-03-01', zone)).toMatchObject({ from: '2026-02-28', to: '2026-03-01' })
    expect(periodBefore('weekly', '2026-11-23', zone)).toMatchObject({ from: '2026-11-16', to: '2026-11-23' })
    expect(periodBefore('monthly', '2026-03-01', zone)).toMatchObject({ from: '2026-02-01', to: '2026-03-01' })
    expect(periodBefore('monthly', '2027-03-31', zone)).toMatchObject({ from: '2027-02-28', to: '2027-03-31' })
    expect(periodBefore('monthly', '2027-01-15', zone)).toMatchObject({ from: '2026-12-15', to: '2027-01-15' })
    expect(periodBeforeThat({ from: '2026-11-16', to: '2026-11-23', time_zone: zone })).toMatchObject({
      from: '2026-11-09',
      to: '2026-11-16',
    })
  })

  it('have 23, 24 or 25 hours a day', () => {
    const hours = (date: string, next: string) =>
      (startOfDay(next, 'Europe/Berlin') - startOfDay(date, 'Europe/Berlin')) / 3_600_000
    expect(hours('2027-03-28', '2027-03-29')).toBe(23)
    expect(hours('2026-10-25', '2026-10-26')).toBe(25)
    expect(hours('2026-11-20', '2026-11-21')).toBe(24)
  })
})
