import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Emulator } from './emulators.ts'

/**
 * Stands before `dynalite`, which knows no transactions, and carries `TransactWriteItems` out as single writes: one transaction after
 * another, undone when one of its conditions fails. A reader may see half of one; a writer never does, as long as all write through here.
 */
interface Item {
  TableName: string
  Key?: Record<string, unknown>
  Item?: Record<string, unknown>
}
type Part = { Put?: Item; Delete?: Item; ConditionCheck?: Item; Update?: Item }

const target = 'DynamoDB_20120810.'

export const withTransactions = async (dynalite: Emulator): Promise<Emulator> => {
  let last: Promise<unknown> = Promise.resolve()
  /** Tokens of transactions that held: DynamoDB answers a repeat as it answered the first, for ten minutes. */
  const done = new Map<string, string>()
  const send = async (verb: string, body: string, headers: Record<string, string>) => {
    const { host: _, 'content-length': __, connection: ___, ...kept } = headers
    const reply = await fetch(dynalite.endpoint, {
      method: 'POST',
      body,
      headers: { ...kept, 'x-amz-target': `${target}${verb}` },
    })
    return { status: reply.status, text: await reply.text() }
  }
  const transact = async (text: string, headers: Record<string, string>) => {
    const { TransactItems, ClientRequestToken = '' }: { TransactItems: Part[]; ClientRequestToken?: string } = JSON.parse(text)
    const items = JSON.stringify(TransactItems)
    const earlier = done.get(ClientRequestToken)
    if (earlier === items) return { status: 200, text: '{}' }
    if (earlier !== undefined) {
      const __type = 'com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException'
      return { status: 400, text: JSON.stringify({ __type, Message: 'The token was used for another transaction' }) }
    }
    const undo: (() => Promise<unknown>)[] = []
    const reasons: { Code: string; Message?: string }[] = TransactItems.map(() => ({ Code: 'None' }))
    for (const [at, part] of TransactItems.entries()) {
      const { Put, Delete, ConditionCheck } = part
      const item = Put ?? Delete ?? ConditionCheck
      if (item === undefined) throw new Error(`This stand-in carries out Put, Delete and ConditionCheck, got ${text}`)
      const { TableName } = item
      const { pk, sk } = (item.Key ?? item.Item) as { pk: unknown; sk: unknown }
      const Key = { pk, sk }
      const before = JSON.parse(
        (await send('GetItem', JSON.stringify({ TableName, Key, ConsistentRead: true }), headers)).text,
      ).Item
      // A check that changes nothing: the document as it is, or its absence, on the condition.
      const check =
        before === undefined
          ? { verb: 'DeleteItem', body: { ...ConditionCheck } }
          : { verb: 'PutItem', body: { ...ConditionCheck, Item: before } }
      const answer = Put
        ? await send('PutItem', JSON.stringify(Put), headers)
        : Delete
          ? await send('DeleteItem', JSON.stringify(Delete), headers)
          : await send(check.verb, JSON.stringify(withoutKey(check.verb, check.body)), headers)
      if (answer.status !== 200) {
        for (const back of undo.reverse()) await back()
        if (!/ConditionalCheckFailed/.test(answer.text)) return answer
        reasons[at] = { Code: 'ConditionalCheckFailed', Message: 'The conditional request failed' }
        const __type = 'com.amazonaws.dynamodb.v20120810#TransactionCanceledException'
        const Message = `Transaction cancelled, please refer cancellation reasons for specific reasons [${reasons.map(({ Code }) => Code).join(', ')}]`
        return { status: 400, text: JSON.stringify({ __type, Message, CancellationReasons: reasons }) }
      }
      undo.push(() =>
        before === undefined
          ? send('DeleteItem', JSON.stringify({ TableName, Key }), headers)
          : send('PutItem', JSON.stringify({ TableName, Item: before }), headers),
      )
    }
    if (ClientRequestToken !== '') done.set(ClientRequestToken, items)
    return { status: 200, text: '{}' }
  }
  const server = createServer(async (request, reply) => {
    try {
      const pieces: Buffer[] = []
      for await (const piece of request) pieces.push(piece)
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
      const verb = (headers['x-amz-target'] ?? '').slice(target.length)
      const text = Buffer.concat(pieces).toString()
      const work = () => (verb === 'TransactWriteItems' ? transact(text, headers) : send(verb, text, headers))
      const writes = /^(Put|Delete|Update|Transact)/.test(verb)
      const result = writes ? last.then(work) : work()
      if (writes) last = result.catch(() => undefined)
      const { status, text: answer } = await result
      reply.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(answer)
    } catch (error) {
      reply
        .writeHead(500, { 'content-type': 'application/x-amz-json-1.0' })
        .end(JSON.stringify({ __type: 'InternalServerError', message: String(error) }))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await dynalite.stop()
    },
  }
}

const withoutKey = (verb: string, body: Record<string, unknown>): Record<string, unknown> => {
  if (verb !== 'PutItem') return body
  const { Key: _, ...rest } = body
  return rest
}
