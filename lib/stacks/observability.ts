import { Duration, Stack, type StackProps } from 'aws-cdk-lib'
import { CfnBudget } from 'aws-cdk-lib/aws-budgets'
import { Alarm, ComparisonOperator, type IMetric, MathExpression, Metric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch'
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions'
import { Topic } from 'aws-cdk-lib/aws-sns'
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions'
import type { IQueue } from 'aws-cdk-lib/aws-sqs'
import type { Construct } from 'constructs'
import { platformDashboard } from '../constructs/dashboard.ts'
import { names } from '../names.ts'
import type { Stage } from '../stage.ts'

export interface Watched {
  readonly apiName: string
  readonly deadLetters: readonly IQueue[]
}

/** Alarms on what needs a person, a budget, and where wanted a dashboard. Nothing here has a dimension per deployment. */
export class ObservabilityStack extends Stack {
  constructor(scope: Construct, id: string, { stage, watched, ...props }: StackProps & { stage: Stage; watched: Watched }) {
    super(scope, id, props)
    const metrics = metricsOf(stage, watched)
    if (stage.alarms) alarms(this, stage, metrics)
    if (stage.monthlyBudgetUsd !== undefined) budget(this, stage, stage.monthlyBudgetUsd)
    if (stage.dashboard) platformDashboard(this, stage, watched, metrics)
  }
}

export interface PlatformMetrics {
  serverErrors: IMetric
  deadLetters: IMetric
  priceAge: IMetric
}

const metricsOf = (stage: Stage, { apiName, deadLetters }: Watched): PlatformMetrics => ({
  serverErrors: new Metric({
    namespace: 'AWS/ApiGateway',
    metricName: '5XXError',
    dimensionsMap: { ApiName: apiName, Stage: stage.name },
    statistic: 'Sum',
    period: Duration.minutes(5),
  }),
  deadLetters: new MathExpression({
    expression: deadLetters.map((_, at) => `q${at}`).join(' + '),
    usingMetrics: Object.fromEntries(
      deadLetters.map((queue, at) => [`q${at}`, queue.metricApproximateNumberOfMessagesVisible({ period: Duration.minutes(5) })]),
    ),
    period: Duration.minutes(5),
    label: 'What failed for good',
  }),
  priceAge: new Metric({
    namespace: 'AiDeploy',
    metricName: 'PriceAgeHours',
    dimensionsMap: { stage: stage.name },
    statistic: 'Maximum',
    period: Duration.days(1),
  }),
})

/** Three alarms; each metric in one costs $0.10 a month. */
const alarms = (scope: Construct, stage: Stage, { serverErrors, deadLetters, priceAge }: PlatformMetrics): void => {
  const rows = [
    { id: 'server-errors', metric: serverErrors, threshold: 5, says: 'The API answered 5 times or more in 5 minutes with a 5xx' },
    {
      id: 'dead-letters',
      metric: deadLetters,
      threshold: 1,
      says: 'A schedule, pipeline or event failed for good; see docs/deploy.md, Redrive',
    },
    {
      id: 'old-prices',
      metric: priceAge,
      threshold: 72,
      says: 'No price list could be fetched for three days; costs are shown at the last good one',
    },
  ]
  const made = rows.map(
    ({ id, metric, threshold, says }) =>
      new Alarm(scope, id, {
        alarmName: names(stage).functionName(id),
        alarmDescription: says,
        metric,
        threshold,
        evaluationPeriods: 1,
        comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        treatMissingData: TreatMissingData.NOT_BREACHING,
      }),
  )
  if (stage.alarmEmail === undefined) return
  // Without a key of its own: CloudWatch may not use AWS's managed key of SNS, and a message holds no more than an alarm's name.
  const topic = new Topic(scope, 'alarms', { enforceSSL: true })
  topic.addSubscription(new EmailSubscription(stage.alarmEmail))
  for (const alarm of made) alarm.addAlarmAction(new SnsAction(topic))
}

/** The whole account: a filter by tag would show nothing until somebody activates the tag for billing. */
const budget = (scope: Construct, { alarmEmail = '', name }: Stage, usd: number): void => {
  const subscribers = [{ subscriptionType: 'EMAIL', address: alarmEmail }]
  const warning = (notificationType: 'ACTUAL' | 'FORECASTED', threshold: number) => ({
    notification: { notificationType, threshold, thresholdType: 'PERCENTAGE', comparisonOperator: 'GREATER_THAN' },
    subscribers,
  })
  new CfnBudget(scope, 'budget', {
    budget: {
      budgetName: names({ name }).functionName('monthly'),
      budgetType: 'COST',
      timeUnit: 'MONTHLY',
      budgetLimit: { amount: usd, unit: 'USD' },
    },
    notificationsWithSubscribers: [warning('ACTUAL', 80), warning('FORECASTED', 100)],
  })
}
