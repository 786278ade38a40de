import * as z from 'zod'
import type { IamRequest } from '../support/iam-evaluator.ts'
import type { Seen } from './front.ts'
import { type KnownRole, ofIam, ofLambda } from './iam-functions.ts'
import { ofS3 } from './iam-objects.ts'
import { ofDynamodb } from './iam-records.ts'
import { ofSagemaker } from './iam-sagemaker.ts'
import { ofScaling } from './iam-scaling.ts'
import { arn } from './physical.ts'

/** What requests have made so far, as far as later ones are judged by it. */
export interface Account {
  roles: Map<string, KnownRole>
}

type Asks = (seen: Seen, account: Account) => IamRequest[]

const operation = ({ headers }: Seen): string => String(headers['x-amz-target']).split('.').at(-1) ?? ''
const told = (seen: Seen): Record<string, unknown> => z.record(z.string(), z.unknown()).parse(JSON.parse(seen.body))

/** A service whose every operation names one resource in its body. */
const simple =
  (prefix: string, resource: (body: Record<string, unknown>, verb: string) => string[]): Asks =>
  (seen) => {
    const verb = operation(seen)
    return resource(told(seen), verb).map((one) => ({ action: `${prefix}:${verb}`, resource: one }))
  }

const Entries = z.array(z.object({ EventBusName: z.string() }))
const group = (name: unknown): string => arn('logs', `log-group:${String(name ?? '')}`)

const logs: Asks = (seen) => {
  const verb = operation(seen)
  const { logGroupName, tags } = told(seen)
  // Listing is asked of all groups, as its refusals show: `log-group::log-stream:`.
  const resource = verb === 'DescribeLogGroups' ? `${group('')}:log-stream:` : group(logGroupName)
  return [{ action: `logs:${verb}`, resource }, ...(tags === undefined ? [] : [{ action: 'logs:TagResource', resource }])]
}

/** Alarms have names; metrics and lists have no resource-level permission. */
const monitoring: Asks = (seen) => {
  const verb = operation(seen)
  const { AlarmName, AlarmNames, Tags } = told(seen)
  const names = verb === 'DescribeAlarms' ? [] : z.array(z.string()).parse([AlarmName ?? AlarmNames ?? []].flat())
  const resources = names.map((name) => arn('cloudwatch', `alarm:${name}`))
  return [
    ...(names.length === 0 ? ['*'] : resources).map((resource) => ({ action: `cloudwatch:${verb}`, resource })),
    ...(Tags === undefined ? [] : resources.map((resource) => ({ action: 'cloudwatch:TagResource', resource }))),
  ]
}

const mailed: Asks = ({ body }) => {
  const { FromEmailAddress } = z.object({ FromEmailAddress: z.string() }).parse(JSON.parse(body))
  // A raw message of SES v2 takes the right to send raw mail too.
  return ['ses:SendEmail', 'ses:SendRawEmail'].map((action) => ({
    action,
    resource: arn('ses', `identity/${FromEmailAddress.split('@').at(-1)}`),
    context: { 'ses:FromAddress': [FromEmailAddress] },
  }))
}

/** By the name in the signature's scope. */
const services: Readonly<Record<string, Asks>> = {
  dynamodb: ofDynamodb,
  s3: ofS3,
  lambda: ofLambda,
  iam: (seen, { roles }) => ofIam(seen, roles),
  logs,
  monitoring,
  tagging: simple('tag', () => ['*']),
  'application-autoscaling': ofScaling,
  sagemaker: ofSagemaker,
  'cognito-idp': simple('cognito-idp', ({ UserPoolId }) => [arn('cognito-idp', `userpool/${String(UserPoolId)}`)]),
  states: simple('states', ({ stateMachineArn, executionArn }) => [String(executionArn ?? stateMachineArn)]),
  events: simple('events', (body) => [
    ...new Set(Entries.parse(body.Entries).map((entry) => arn('events', `event-bus/${entry.EventBusName}`))),
  ]),
  ses: mailed,
  pricing: simple('pricing', () => ['*']),
}

/** What a request asks of IAM. Throws for what the witness does not know: it must not be taken for nothing. */
export const asksOf = (seen: Seen, account: Account): IamRequest[] => {
  const asks = services[seen.service]
  if (asks === undefined) throw new Error(`The witness does not know the service ${seen.service}`)
  return asks(seen, account)
}
