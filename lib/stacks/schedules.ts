import { Duration, Stack, type StackProps } from 'aws-cdk-lib'
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { Code, IFunction } from 'aws-cdk-lib/aws-lambda'
import { Schedule, ScheduleExpression, ScheduleGroup, ScheduleTargetInput } from 'aws-cdk-lib/aws-scheduler'
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets'
import { type IQueue, Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import type { Construct } from 'constructs'
import { type ScheduleRow, schedules } from '../../layers/core/contract/schedules.ts'
import { platformFunction } from '../constructs/platform-function.ts'
import { names } from '../names.ts'
import type { Stage } from '../stage.ts'
import { units } from '../units.ts'
import type { Data } from './data.ts'

/** Every row of the schedule table as an EventBridge schedule; a run that fails for good is kept in the dead-letter queue. */
export class SchedulesStack extends Stack {
  constructor(
    scope: Construct,
    id: string,
    { stage, data, code, ...props }: StackProps & { stage: Stage; data: Data; code: Code },
  ) {
    super(scope, id, props)
    const scheduleGroup = new ScheduleGroup(this, 'schedules', { scheduleGroupName: names(stage).scheduleGroup })
    const deadLetterQueue = new Queue(this, 'failed-runs', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    })
    for (const row of Object.values<ScheduleRow>(schedules)) {
      const unit = units.find(({ name }) => name === `schedule-${row.id}`)
      if (unit === undefined) throw new Error(`No function runs schedule ${row.id}`)
      const target = platformFunction(this, { unit, stage, data, code })
      new Schedule(this, row.id, {
        scheduleName: row.id,
        scheduleGroup,
        description: row.summary,
        schedule: expression(row),
        target: new LambdaInvoke(target, {
          retryAttempts: row.retries,
          maxEventAge: Duration.minutes(5),
          deadLetterQueue,
          role: schedulerRole(this, row, target, deadLetterQueue).withoutPolicyUpdates(),
          input: ScheduleTargetInput.fromObject({ schedule: row.id }),
        }),
      })
    }
  }
}

/** Exactly this function and the dead-letter queue. CDK's own grant would add every version of the function. */
const schedulerRole = (scope: Construct, row: ScheduleRow, target: IFunction, deadLetterQueue: IQueue): Role =>
  new Role(scope, `${row.id}-scheduler`, {
    assumedBy: new ServicePrincipal('scheduler.amazonaws.com'),
    inlinePolicies: {
      target: new PolicyDocument({
        statements: [
          new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [target.functionArn] }),
          new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [deadLetterQueue.queueArn] }),
        ],
      }),
    },
  })

/** EventBridge knows no rate below a minute: what runs every few seconds on one machine runs every minute here. */
const expression = ({ every }: ScheduleRow): ScheduleExpression =>
  'cron' in every
    ? ScheduleExpression.expression(`cron(${every.cron})`)
    : ScheduleExpression.rate(Duration.minutes(Math.max(1, Math.round(every.seconds / 60))))
