import { Duration, Stack, type StackProps } from 'aws-cdk-lib'
import { EventBus, Rule } from 'aws-cdk-lib/aws-events'
import { SqsQueue } from 'aws-cdk-lib/aws-events-targets'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import { EventSourceMapping, FilterCriteria, FilterRule, StartingPosition } from 'aws-cdk-lib/aws-lambda'
import { SqsDlq } from 'aws-cdk-lib/aws-lambda-event-sources'
import type { Construct } from 'constructs'
import { told_kinds } from '../../layers/core/contract/events.ts'
import { type SubscriberRow, subscribers } from '../../layers/core/contract/subscribers.ts'
import { platformFunction } from '../constructs/platform-function.ts'
import { deadLetters, workQueue } from '../constructs/queues.ts'
import { names } from '../names.ts'
import type { Parts } from '../parts.ts'
import { unitNamed } from '../units.ts'

/**
 * Record changes become events, and every row of the subscriber table is told of them: table stream → function → bus → for each
 * subscriber a rule, a queue with its dead letters and a function.
 */
export class EventsStack extends Stack {
  constructor(scope: Construct, id: string, { parts, ...props }: StackProps & { parts: Parts }) {
    super(scope, id, props)
    const bus = new EventBus(this, 'bus', { eventBusName: names(parts.stage).eventBus })
    publishChanges(this, parts)
    for (const row of Object.values<SubscriberRow>(subscribers)) subscription(this, row, bus, parts)
  }
}

/**
 * A batch that fails is halved until the change at fault stands alone; after ten tries the queue is told where in the stream it lies.
 * The stream forgets it after a day.
 */
const publishChanges = (scope: Construct, parts: Parts): void => {
  const { tableStreamArn } = parts.data.table
  if (tableStreamArn === undefined) throw new Error('The table of the records has no stream to publish changes from')
  const lost = deadLetters(scope, 'dead-changes')
  const source = [
    new PolicyStatement({
      actions: ['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator', 'dynamodb:ListStreams'],
      resources: [tableStreamArn],
    }),
    new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [lost.queueArn] }),
    ...(parts.data.key === undefined ? [] : [streamKey(scope, parts.data.key.keyArn)]),
  ]
  const target = platformFunction(scope, { unit: unitNamed('publish-changes'), source, ...parts })
  new EventSourceMapping(scope, 'record-changes', {
    target,
    eventSourceArn: tableStreamArn,
    startingPosition: StartingPosition.LATEST,
    batchSize: 100,
    maxBatchingWindow: Duration.seconds(1),
    bisectBatchOnError: true,
    retryAttempts: 10,
    maxRecordAge: Duration.hours(23),
    onFailure: new SqsDlq(lost),
    filters: [
      FilterCriteria.filter({
        dynamodb: { Keys: { sk: { S: told_kinds.flatMap((kind) => FilterRule.beginsWith(`${kind}#`)) } } },
      }),
    ],
  })
}

/** Lambda's poller reads the stream with the function's role. */
const streamKey = (scope: Construct, keyArn: string): PolicyStatement =>
  new PolicyStatement({
    actions: ['kms:Decrypt'],
    resources: [keyArn],
    conditions: { StringEquals: { 'kms:ViaService': [`dynamodb.${Stack.of(scope).region}.amazonaws.com`] } },
  })

const subscription = (scope: Construct, row: SubscriberRow, bus: EventBus, parts: Parts): void => {
  const unit = unitNamed(`deliver-${row.id}`)
  const { queue, dead } = workQueue(scope, names(parts.stage).functionName(unit.name), unit)
  new Rule(scope, `tell-${row.id}`, {
    ruleName: `${bus.eventBusName}-${row.id}`,
    description: row.summary,
    eventBus: bus,
    eventPattern: { source: ['aideploy'], ...(row.types !== 'all' && { detailType: [...row.types] }) },
    targets: [new SqsQueue(queue, { deadLetterQueue: dead })],
  })
  const source = [
    new PolicyStatement({
      actions: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'],
      resources: [queue.queueArn],
    }),
  ]
  new EventSourceMapping(scope, `${row.id}-messages`, {
    target: platformFunction(scope, { unit, source, ...parts }),
    eventSourceArn: queue.queueArn,
    batchSize: 10,
    reportBatchItemFailures: true,
    maxConcurrency: 5,
  })
}
