import { Duration, Stack } from 'aws-cdk-lib'
import { Dashboard, GraphWidget, type IMetric, Metric, SingleValueWidget } from 'aws-cdk-lib/aws-cloudwatch'
import type { Construct } from 'constructs'
import { pipelines } from '../../layers/core/contract/pipelines.ts'
import { names } from '../names.ts'
import type { PlatformMetrics, Watched } from '../stacks/observability.ts'
import type { Stage } from '../stage.ts'

/** Requests, errors and latency of the API, pipelines, dead letters, prices. */
export const platformDashboard = (scope: Construct, stage: Stage, { apiName }: Watched, metrics: PlatformMetrics): Dashboard => {
  const api = (metricName: string, statistic: string): IMetric =>
    new Metric({
      namespace: 'AWS/ApiGateway',
      metricName,
      statistic,
      dimensionsMap: { ApiName: apiName, Stage: stage.name },
      period: Duration.minutes(5),
    })
  const model = (metricName: string, statistic: string): IMetric =>
    new Metric({
      namespace: 'AiDeploy',
      metricName,
      statistic,
      dimensionsMap: { stage: stage.name },
      period: Duration.minutes(5),
    })
  return new Dashboard(scope, 'dashboard', {
    dashboardName: names(stage).scheduleGroup,
    widgets: [
      [
        new GraphWidget({
          title: 'API requests',
          left: [api('Count', 'Sum')],
          right: [api('4XXError', 'Sum'), metrics.serverErrors],
          width: 12,
        }),
        new GraphWidget({ title: 'API latency, ms', left: [api('Latency', 'p50'), api('Latency', 'p99')], width: 12 }),
      ],
      [
        new GraphWidget({ title: 'Pipelines', left: executions(scope, stage), width: 12 }),
        new GraphWidget({
          title: 'Models',
          left: [model('Requests', 'Sum'), model('Errors', 'Sum')],
          right: [model('Latency', 'p99')],
          width: 12,
        }),
      ],
      [
        new SingleValueWidget({ title: 'Dead letters', metrics: [metrics.deadLetters], width: 6 }),
        new SingleValueWidget({ title: 'Age of prices, hours', metrics: [metrics.priceAge], width: 6 }),
      ],
    ],
  })
}

const executions = (scope: Construct, stage: Stage): IMetric[] => {
  const { partition, region, account } = Stack.of(scope)
  return Object.keys(pipelines).flatMap((id) =>
    ['ExecutionsSucceeded', 'ExecutionsFailed'].map(
      (metricName) =>
        new Metric({
          namespace: 'AWS/States',
          metricName,
          statistic: 'Sum',
          label: `${id} ${metricName.slice('Executions'.length).toLowerCase()}`,
          dimensionsMap: {
            StateMachineArn: `arn:${partition}:states:${region}:${account}:stateMachine:${names(stage).machine(id)}`,
          },
          period: Duration.minutes(5),
        }),
    ),
  )
}
