import { CreateEventBusCommand, EventBridgeClient, PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge'
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import type { SQSEvent } from 'aws-lambda'
import * as z from 'zod'
import { deliverBatch } from '../../functions/entry/queue-batch.ts'
import type { Subscriber } from '../../layers/core/contract/subscribers.ts'

const settings = (endpoint: string) => ({
  endpoint,
  region: 'us-east-1',
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  maxAttempts: 2,
})
export const eventBridgeClient = (endpoint: string): EventBridgeClient => new EventBridgeClient(settings(endpoint))
export const sqsClient = (endpoint: string): SQSClient => new SQSClient(settings(endpoint))

const log = { info() {}, warn() {}, error() {} }
const Body = z.object({ detail: z.object({ id: z.string() }) })

/** A bus with a rule, a queue and dead letters for every subscriber, as the events stack makes them, and the Lambda poller before them. */
export const eventChain = async (endpoint: string, bus: string, subscribers: ReadonlyMap<string, Subscriber>) => {
  const bridge = eventBridgeClient(endpoint)
  const sqs = sqsClient(endpoint)
  await bridge.send(new CreateEventBusCommand({ Name: bus }))
  const queue = async (QueueName: string, attributes: Record<string, string>) => {
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName, Attributes: attributes }))
    const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }))
    return { url: QueueUrl ?? '', arn: Attributes?.QueueArn ?? '' }
  }
  const queues = new Map<string, { url: string; dead: string }>()
  for (const name of subscribers.keys()) {
    const dead = await queue(`${bus}-${name}-dead`, {})
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: dead.arn, maxReceiveCount: 5 })
    const { url, arn } = await queue(`${bus}-${name}`, { RedrivePolicy, VisibilityTimeout: '0' })
    await bridge.send(
      new PutRuleCommand({ Name: name, EventBusName: bus, EventPattern: JSON.stringify({ source: ['aideploy'] }) }),
    )
    await bridge.send(new PutTargetsCommand({ Rule: name, EventBusName: bus, Targets: [{ Id: 'queue', Arn: arn }] }))
    queues.set(name, { url, dead: dead.url })
  }
  const receive = async (QueueUrl: string): Promise<Message[]> =>
    (
      await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl,
          MaxNumberOfMessages: 10,
          MessageSystemAttributeNames: ['ApproximateReceiveCount'],
        }),
      )
    ).Messages ?? []
  const poll = async (id: string, run: Subscriber): Promise<void> => {
    const QueueUrl = queues.get(id)?.url ?? ''
    for (let found = await receive(QueueUrl); found.length > 0; found = await receive(QueueUrl)) {
      const { batchItemFailures } = await deliverBatch(lambdaEvent(found), { id, run, log })
      const failed = new Set(batchItemFailures.map(({ itemIdentifier }) => itemIdentifier))
      const Entries = found
        .filter(({ MessageId = '' }) => !failed.has(MessageId))
        .map(({ MessageId, ReceiptHandle }) => ({ Id: MessageId, ReceiptHandle }))
      if (Entries.length > 0) await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }))
    }
  }
  return {
    bridge,
    settle: async () => {
      for (const [id, run] of subscribers) await poll(id, run)
    },
    parked: async (id: string) =>
      (await receive(queues.get(id)?.dead ?? '')).map(({ Body: body = '' }) => Body.parse(JSON.parse(body)).detail.id),
    close: () => {
      bridge.destroy()
      sqs.destroy()
    },
  }
}

/** Messages as Lambda's poller hands them over. */
export const lambdaEvent = (
  messages: readonly Pick<Message, 'MessageId' | 'Body' | 'Attributes' | 'ReceiptHandle'>[],
): SQSEvent => ({
  Records: messages.map(({ MessageId = '', Body: body = '', Attributes, ReceiptHandle = '' }) => ({
    ...{ messageId: MessageId, receiptHandle: ReceiptHandle, body, messageAttributes: {}, md5OfBody: '' },
    ...{ eventSource: 'aws:sqs', eventSourceARN: 'arn:aws:sqs:us-east-1:123456789012:queue', awsRegion: 'us-east-1' },
    attributes: {
      ApproximateReceiveCount: Attributes?.ApproximateReceiveCount ?? '1',
      ...{ SentTimestamp: '0', SenderId: 'test', ApproximateFirstReceiveTimestamp: '0' },
    },
  })),
})
