import middy from '@middy/core'
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { app } from '#app'
import type { Subscriber } from '../../layers/core/contract/subscribers.ts'
import { deliverBatch } from './queue-batch.ts'

/** A subscriber as a Lambda behind its queue. */
export const subscriberHandler = (id: string, run: Subscriber) =>
  middy((event: SQSEvent): Promise<SQSBatchResponse> => deliverBatch(event, { id, run, log: app.log }))
