import { Duration, Stack, type StackProps } from 'aws-cdk-lib'
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { IFunction } from 'aws-cdk-lib/aws-lambda'
import { Schedule, ScheduleGroup, ScheduleTargetInput } from 'aws-cdk-lib/aws-scheduler'
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets'
import type { IQueue, Queue } from 'aws-cdk-lib/aws-sqs'
import type { Construct } from 'constructs'
import { type ScheduleRow, schedules } from '../../layers/core/contract/schedules.ts'
import { keepFailedExecutions } from '../constructs/failed-executions.ts'
import { platformFunction } from '../constructs/platform-function.ts'
import { deadLetters } from '../constructs/queues.ts'
import { eventBridgeExpression } from '../cron.ts'
import { names } from '../names.ts'
import type { Parts } from '../parts.ts'
import { unitNamed } from '../units.ts'

/**
 * Every row of the schedule table as an EventBridge schedule. What nobody waits for and failed for good, runs and pipelines alike, is
 * kept in one dead-letter queue.
 */
export class SchedulesStack extends Stack {
  readonly deadLetters: Queue

  constructor(scope: Construct, id: string, { parts, ...props }: StackProps & { parts: Parts }) {
    super(scope, id, props)
    const { stage } = parts
    const scheduleGroup = new ScheduleGroup(this, 'schedules', { scheduleGroupName: names(stage).scheduleGroup })
    this.deadLetters = deadLetters(this, 'failed-runs')
    for (const row of Object.values<ScheduleRow>(schedules)) {
      // The scheduler hands the event over and forgets it: what the function then makes of it is between Lambda and the queue.
      const failures = { queue: this.deadLetters, retries: row.retries }
      const target = platformFunction(this, { unit: unitNamed(`schedule-${row.id}`), failures, ...parts })
      new Schedule(this, row.id, {
        scheduleName: row.id,
        scheduleGroup,
        description: row.summary,
        schedule: eventBridgeExpression(row),
        target: new LambdaInvoke(target, {
          retryAttempts: row.retries,
          maxEventAge: Duration.minutes(5),
          deadLetterQueue: this.deadLetters,
          role: schedulerRole(this, row, target, this.deadLetters).withoutPolicyUpdates(),
          input: ScheduleTargetInput.fromObject({ schedule: row.id }),
        }),
      })
    }
    keepFailedExecutions(this, stage, this.deadLetters)
  }
}

/** Exactly this function and the dead-letter queue. CDK's own grant would add every version of the function. */
const schedulerRole = (scope: Construct, row: ScheduleRow, target: IFunction, deadLetterQueue: IQueue): Role =>
  new Role(scope, `${row.id}-scheduler`, {
    assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } },
    }),
    inlinePolicies: {
      target: new PolicyDocument({
        statements: [
          new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [target.functionArn] }),
          new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [deadLetterQueue.queueArn] }),
        ],
      }),
    },
  })
