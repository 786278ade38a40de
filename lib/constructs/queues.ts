import { Duration, RemovalPolicy } from 'aws-cdk-lib'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import type { Construct } from 'constructs'
import type { Unit } from '../units.ts'

/** A queue for what failed for good: encrypted, TLS only, fourteen days, SQS's longest. */
export const deadLetters = (scope: Construct, id: string, queueName?: string): Queue =>
  new Queue(scope, id, {
    ...(queueName !== undefined && { queueName }),
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    retentionPeriod: Duration.days(14),
    removalPolicy: RemovalPolicy.DESTROY,
  })

/** Failures of one message before it is among the dead letters. */
const most_attempts = 5

/**
 * A queue that a function works off, named after it, and its dead letters `<name>-dead`, which `npm run aws:redrive` moves back. What
 * a function has taken stays hidden for six times its time limit, as Lambda's guide for queues asks.
 */
export const workQueue = (scope: Construct, queueName: string, unit: Unit): { queue: Queue; dead: Queue } => {
  const dead = deadLetters(scope, `${unit.name}-dead`, `${queueName}-dead`)
  const queue = new Queue(scope, `${unit.name}-queue`, {
    queueName,
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    retentionPeriod: Duration.days(14),
    visibilityTimeout: Duration.seconds(6 * unit.timeout_s),
    removalPolicy: RemovalPolicy.DESTROY,
    deadLetterQueue: { queue: dead, maxReceiveCount: most_attempts },
  })
  return { queue, dead }
}
