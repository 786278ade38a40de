import type { SQSBatchResponse, SQSEvent } from 'aws-lambda'
import * as z from 'zod'
import { errorChain } from '../../layers/core/contract/errors.ts'
import { PlatformEvent } from '../../layers/core/contract/events.ts'
import type { Subscriber } from '../../layers/core/contract/subscribers.ts'
import type { Log } from '../../layers/core/ports/log.ts'

/** What EventBridge puts into a queue. */
const Envelope = z.object({ detail: PlatformEvent })

/**
 * Hands a batch to a subscriber, one message after another. What fails comes again by itself and, when it fails too often, waits among
 * the dead letters with every other member of the batch gone its way.
 */
export const deliverBatch = async (
  { Records }: SQSEvent,
  { id, run, log }: { id: string; run: Subscriber; log: Log },
): Promise<SQSBatchResponse> => {
  const batchItemFailures: SQSBatchResponse['batchItemFailures'] = []
  for (const { messageId, body, attributes } of Records) {
    try {
      await run(Envelope.parse(JSON.parse(body)).detail)
    } catch (error) {
      batchItemFailures.push({ itemIdentifier: messageId })
      log.warn('event not delivered', {
        subscriber: id,
        message_id: messageId,
        attempt: Number(attributes.ApproximateReceiveCount),
        cause: errorChain(error),
      })
    }
  }
  return { batchItemFailures }
}
