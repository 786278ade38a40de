import { randomUUID } from 'node:crypto'
import * as z from 'zod'
import { type AwsJsonServer, ServiceError, startAwsJsonServer } from '../support/aws-json-server.ts'

/** A rule of the synthesised bus with what stands behind its queue. */
export interface Rule {
  pattern: { source?: string[]; 'detail-type'?: string[] }
  /** Hands a batch to the function that reads the queue; answers which messages it could not take. */
  deliver(event: object): Promise<string[]>
  most_receives: number
}

export interface Bus extends AwsJsonServer {
  /** Messages that failed as often as their queue allows. */
  dead: string[]
}

const Entry = z.object({ EventBusName: z.string(), Source: z.string(), DetailType: z.string(), Detail: z.string() })
const Put = z.object({ Entries: z.array(Entry).min(1).max(10) })

/** EventBridge with its queues and their pollers on loopback: each message goes to the function alone, again after a failure. */
export const startBus = async (name: string, rules: readonly Rule[]): Promise<Bus> => {
  const dead: string[] = []
  const send = async (rule: Rule, body: string, receives = 1): Promise<void> => {
    const messageId = randomUUID()
    const record = { messageId, body, attributes: { ApproximateReceiveCount: String(receives) }, eventSource: 'aws:sqs' }
    const failed = await rule.deliver({ Records: [record] }).catch(() => [messageId])
    if (!failed.includes(messageId)) return
    if (receives >= rule.most_receives) dead.push(body)
    else setTimeout(() => void send(rule, body, receives + 1), 50)
  }
  const server = await startAwsJsonServer({
    PutEvents: (raw) => {
      const { Entries } = Put.parse(raw)
      return {
        FailedEntryCount: 0,
        Entries: Entries.map((entry) => {
          if (entry.EventBusName !== name) throw new ServiceError('ResourceNotFoundException', `no bus ${entry.EventBusName}`)
          const id = randomUUID()
          const body = JSON.stringify({
            version: '0',
            id,
            source: entry.Source,
            'detail-type': entry.DetailType,
            time: new Date().toISOString(),
            detail: JSON.parse(entry.Detail),
          })
          for (const rule of rules.filter(({ pattern }) => fits(pattern, entry))) void send(rule, body)
          return { EventId: id }
        }),
      }
    },
  })
  return Object.assign(server, { dead })
}

const fits = ({ source, 'detail-type': type }: Rule['pattern'], entry: z.infer<typeof Entry>): boolean =>
  (source === undefined || source.includes(entry.Source)) && (type === undefined || type.includes(entry.DetailType))
