import * as z from 'zod'
import type { IamRequest } from '../support/iam-evaluator.ts'
import type { Seen } from './front.ts'
import { arn } from './physical.ts'

const Values = z.record(z.string(), z.object({ S: z.string() }).or(z.unknown()))
const Item = z.object({
  TableName: z.string(),
  Key: Values.optional(),
  Item: Values.optional(),
})
const Query = z.object({
  TableName: z.string(),
  IndexName: z.string().optional(),
  KeyConditionExpression: z.string(),
  ExpressionAttributeNames: z.record(z.string(), z.string()).default({}),
  ExpressionAttributeValues: Values,
})
const Transaction = z.object({ TransactItems: z.array(z.record(z.string(), Item)) })

const text = (value: unknown): string => z.object({ S: z.string() }).parse(value).S
const members: Readonly<Record<string, string>> = {
  Put: 'PutItem',
  Delete: 'DeleteItem',
  Update: 'UpdateItem',
  ConditionCheck: 'ConditionCheckItem',
}

/** What a request to DynamoDB asks of IAM: one action per item, with the partition as its leading key. */
export const ofDynamodb = ({ headers, body }: Seen): IamRequest[] => {
  const verb = String(headers['x-amz-target']).split('.').at(-1) ?? ''
  const asked: unknown = JSON.parse(body)
  if (verb === 'TransactWriteItems')
    return Transaction.parse(asked).TransactItems.flatMap((part) =>
      Object.entries(part).map(([kind, item]) => ofItem(members[kind] ?? kind, item)),
    )
  if (verb === 'Query') return [ofQuery(Query.parse(asked))]
  if (['GetItem', 'PutItem', 'DeleteItem', 'UpdateItem'].includes(verb)) return [ofItem(verb, Item.parse(asked))]
  throw new Error(`The witness does not know dynamodb:${verb}`)
}

const ofItem = (verb: string, { TableName, Key, Item: item }: z.output<typeof Item>): IamRequest => ({
  action: `dynamodb:${verb}`,
  resource: arn('dynamodb', `table/${TableName}`),
  context: { 'dynamodb:LeadingKeys': [text((Key ?? item)?.pk)] },
})

const ofQuery = (query: z.output<typeof Query>): IamRequest => {
  const [, name = '', value = ''] = /^\s*([#\w]+)\s*=\s*(:\w+)/.exec(query.KeyConditionExpression) ?? []
  const attribute = query.ExpressionAttributeNames[name] ?? name
  const partition = query.IndexName === undefined ? 'pk' : `${query.IndexName}_pk`
  if (attribute !== partition)
    throw new Error(`A query begins with its partition ${partition}, got ${query.KeyConditionExpression}`)
  const index = query.IndexName === undefined ? '' : `/index/${query.IndexName}`
  return {
    action: 'dynamodb:Query',
    resource: arn('dynamodb', `table/${query.TableName}${index}`),
    context: { 'dynamodb:LeadingKeys': [text(query.ExpressionAttributeValues[value])] },
  }
}
