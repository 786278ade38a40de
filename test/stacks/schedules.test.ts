import type { Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import { schedules } from '../../layers/core/contract/schedules.ts'
import { resources, synthesised, templateOf } from '../support/synthesised.ts'

let template: Template
beforeAll(() => {
  template = templateOf(synthesised().schedules)
})

describe('the schedules stack', () => {
  it('has a schedule and a function for every row', () => {
    const names = resources(template, 'AWS::Scheduler::Schedule').map(([, schedule]) => schedule.Name)
    expect(names.sort()).toEqual(Object.keys(schedules).sort())
    expect(resources(template, 'AWS::Lambda::Function')).toHaveLength(names.length)
  })

  it('keeps runs that failed for good, and retries as the row says', () => {
    for (const [, schedule] of resources(template, 'AWS::Scheduler::Schedule')) {
      const target = JSON.parse(JSON.stringify(schedule.Target))
      expect(target.DeadLetterConfig).toBeDefined()
      expect(target.RetryPolicy.MaximumRetryAttempts).toBe(
        Object.values(schedules).find(({ id }) => id === schedule.Name)?.retries,
      )
    }
  })
})
