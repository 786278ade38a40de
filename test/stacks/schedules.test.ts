import type { Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import { type ScheduleRow, schedules } from '../../layers/core/contract/schedules.ts'
import { eventBridgeCron } from '../../lib/cron.ts'
import { resources, synthesised, templateOf } from '../support/synthesised.ts'

let template: Template
beforeAll(() => {
  template = templateOf(synthesised().schedules)
})

const rowOf = (name: unknown): ScheduleRow | undefined => Object.values<ScheduleRow>(schedules).find(({ id }) => id === name)

describe('the schedules stack', () => {
  it('has a schedule and a function for every row', () => {
    const names = resources(template, 'AWS::Scheduler::Schedule').map(([, schedule]) => schedule.Name)
    expect(names.sort()).toEqual(Object.keys(schedules).sort())
    expect(resources(template, 'AWS::Lambda::Function')).toHaveLength(names.length)
  })

  it('runs each as often as its row says for AWS', () => {
    for (const [, { Name, ScheduleExpression }] of resources(template, 'AWS::Scheduler::Schedule')) {
      const row = rowOf(Name)
      const every = row?.aws_every ?? row?.every
      if (every === undefined || !('seconds' in every)) continue
      const [, count, unit] = String(ScheduleExpression).match(/^rate\((\d+) (minute|hour|day)s?\)$/) ?? []
      const seconds = { minute: 60, hour: 3600, day: 86_400 }[String(unit)] ?? 0
      expect(Number(count) * seconds, String(Name)).toBe(Math.max(60, every.seconds))
    }
  })

  it('keeps what could not be delivered and what failed for good, and retries as the row says', () => {
    for (const [, schedule] of resources(template, 'AWS::Scheduler::Schedule')) {
      const target = JSON.parse(JSON.stringify(schedule.Target))
      expect(target.DeadLetterConfig).toBeDefined()
      expect(target.RetryPolicy.MaximumRetryAttempts).toBe(rowOf(schedule.Name)?.retries)
    }
    const kept = resources(template, 'AWS::Lambda::EventInvokeConfig')
    expect(kept).toHaveLength(Object.keys(schedules).length)
    for (const [, { DestinationConfig, Qualifier }] of kept) {
      expect(JSON.stringify(DestinationConfig)).toMatch(/OnFailure.*failedruns/)
      expect(Qualifier).toBe('$LATEST')
    }
  })

  it('keeps executions that failed through no fault of the caller', () => {
    const [, rule] = resources(template, 'AWS::Events::Rule')[0] ?? []
    expect(rule?.EventPattern).toMatchObject({
      source: ['aws.states'],
      detail: {
        $or: [{ status: ['TIMED_OUT', 'ABORTED'] }, { status: ['FAILED'], error: [{ 'anything-but': ['Final'] }] }],
      },
    })
  })
})

describe('a cron expression', () => {
  it.each([
    ['0 6 * * *', '0 6 * * ? *'],
    ['*/15 * * * *', '*/15 * * * ? *'],
    ['0 7 * * 1', '0 7 ? * MON *'],
    ['0 7 * * 1-5', '0 7 ? * MON-FRI *'],
    ['0 7 * * 0,7', '0 7 ? * SUN,SUN *'],
    ['30 4 1 * *', '30 4 1 * ? *'],
    ['0 30 4 1 * *', '30 4 1 * ? *'],
  ])('%j becomes EventBridge’s %j', (posix, wanted) => {
    expect(eventBridgeCron(posix)).toBe(wanted)
  })

  it.each(['0 6 * *', '0 6 1 * 1', ''])('%j is refused', (posix) => {
    expect(() => eventBridgeCron(posix)).toThrow(/wanted minute hour|takes only one/)
  })
})
