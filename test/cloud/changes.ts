import { type DynamoDBDocumentClient, ScanCommand } from '@aws-sdk/lib-dynamodb'
import type { DynamoDBRecord } from 'aws-lambda'

type Item = Record<string, unknown>

/**
 * Stands in for the table's stream, which the emulator lacks: looks at the whole table again and again and tells what became different,
 * as stream records with both images. What changes twice between two looks is one record.
 */
export const watchTable = (
  client: DynamoDBDocumentClient,
  TableName: string,
  tell: (records: DynamoDBRecord[]) => Promise<void>,
  every_ms = 300,
): { stop(): Promise<void> } => {
  let before = new Map<string, Item>()
  let sequence = 0
  let stopped = false

  const scan = async (): Promise<Map<string, Item>> => {
    const items = new Map<string, Item>()
    let ExclusiveStartKey: Item | undefined
    do {
      const page = await client.send(new ScanCommand({ TableName, ...(ExclusiveStartKey && { ExclusiveStartKey }) }))
      for (const item of page.Items ?? []) items.set(`${String(item.pk)}|${String(item.sk)}`, item)
      ExclusiveStartKey = page.LastEvaluatedKey
    } while (ExclusiveStartKey)
    return items
  }

  const record = (eventName: 'INSERT' | 'MODIFY' | 'REMOVE', old: Item | undefined, now: Item | undefined): DynamoDBRecord => ({
    eventName,
    dynamodb: {
      Keys: { pk: { S: String((now ?? old)?.pk) }, sk: { S: String((now ?? old)?.sk) } },
      ...(old && { OldImage: image(old) }),
      ...(now && { NewImage: image(now) }),
      SequenceNumber: String(++sequence).padStart(20, '0'),
      ApproximateCreationDateTime: Date.now() / 1000,
    },
  })

  const look = async (): Promise<void> => {
    const now = await scan()
    const records = [...now].flatMap(([key, item]) => {
      const old = before.get(key)
      if (old?.version === item.version) return []
      return [record(old ? 'MODIFY' : 'INSERT', old, item)]
    })
    for (const [key, old] of before) if (!now.has(key)) records.push(record('REMOVE', old, undefined))
    before = now
    for (let at = 0; at < records.length; at += 100) await tell(records.slice(at, at + 100))
  }

  const run = async (): Promise<void> => {
    while (!stopped) {
      await look().catch((error: unknown) => process.stderr.write(`table watch: ${String(error)}\n`))
      await new Promise((resolve) => setTimeout(resolve, every_ms))
    }
  }
  const running = run()
  return {
    stop: async () => {
      stopped = true
      await running
    },
  }
}

const image = (item: Item): NonNullable<NonNullable<DynamoDBRecord['dynamodb']>['NewImage']> =>
  Object.fromEntries(
    Object.entries(item).map(([name, value]) => [name, typeof value === 'number' ? { N: String(value) } : { S: String(value) }]),
  )
