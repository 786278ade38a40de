import type { DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda'
import * as z from 'zod'
import { app } from '#app'
import { JsonObject } from '../../layers/core/domain/json.ts'
import type { RecordChange } from '../../layers/core/ports/record-changes.ts'
import type { Stored } from '../../layers/core/ports/records.ts'
import { readableEvents } from '../../layers/core/usecases/derive-events.ts'

const kinds = { INSERT: 'insert', MODIFY: 'modify', REMOVE: 'remove' } as const
const Text = z.object({ S: z.string() })
const Image = z.object({ pk: Text, sk: Text, version: Text, body: Text })

/**
 * Events from a DynamoDB stream of the records table (new and old images). One publish per batch keeps their order;
 * a failure repeats the whole batch, and subscribers drop repeats by `event.id`.
 */
export const handler = async ({ Records }: DynamoDBStreamEvent): Promise<void> => {
  const events = Records.flatMap((record) => readableEvents(changeFrom(record), app.log))
  if (events.length > 0) await app.events.publish(events)
  app.log.info('stream batch', { changes: Records.length, events: events.length })
}

/** A stream record as the change that SQLite's triggers would have kept. */
export const changeFrom = ({ eventName, dynamodb }: DynamoDBRecord): RecordChange => {
  const { pk, sk } = z.object({ pk: Text, sk: Text }).parse(dynamodb?.Keys)
  return {
    sequence: z.string().parse(dynamodb?.SequenceNumber),
    kind: kinds[z.enum(['INSERT', 'MODIFY', 'REMOVE']).parse(eventName)],
    key: { pk: pk.S, sk: sk.S },
    ...(dynamodb?.OldImage && { old: storedFrom(dynamodb.OldImage) }),
    ...(dynamodb?.NewImage && { new: storedFrom(dynamodb.NewImage) }),
    at: z.number().parse(dynamodb?.ApproximateCreationDateTime) * 1000,
  }
}

/** The table keeps a document's body as JSON text, every other attribute as text or number. */
const storedFrom = (image: object): Stored => {
  const { pk, sk, version, body } = Image.parse(image)
  return { pk: pk.S, sk: sk.S, version: version.S, body: JsonObject.parse(JSON.parse(body.S)) }
}
