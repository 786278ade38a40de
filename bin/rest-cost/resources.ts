import * as z from 'zod'
import type { PriceBook } from '../../layers/core/domain/price.ts'
import type { Resource } from '../../lib/templates.ts'
import { assumptions, hoursPerMonth } from './assumptions.ts'
import { type Line, line } from './lines.ts'
import { runsPerMonth } from './runs.ts'
import { scheduleLines } from './schedules.ts'

type Priced = (resource: Resource, all: readonly Resource[], prices: PriceBook) => Line[]

const gb = (bytes: number): number => bytes / 2 ** 30
const count = (value: unknown): number => (Array.isArray(value) ? value.length : 0)

const Schedule = z.object({
  Name: z.string(),
  Target: z.object({ Arn: z.object({ 'Fn::GetAtt': z.tuple([z.string(), z.string()]) }) }),
  ScheduleExpression: z.string(),
})
const schedule: Priced = ({ stack, properties }, all, prices) => {
  const { Name: id, Target, ScheduleExpression } = Schedule.parse(properties)
  const called = all.find((one) => one.stack === stack && one.id === Target.Arn['Fn::GetAtt'][0])
  const memory_mb = z.object({ MemorySize: z.number() }).parse(called?.properties).MemorySize
  return scheduleLines({ id, runs_per_month: runsPerMonth(ScheduleExpression), memory_mb }, prices)
}

/** Lambda asks a queue all the time, also when it is empty; reading a table's stream is free for Lambda. */
const eventSource: Priced = ({ properties }, _all, prices) => {
  if (!/sqs|queue/i.test(JSON.stringify(properties.EventSourceArn))) return []
  const requests = (assumptions.sqs_pollers * hoursPerMonth * 3600) / assumptions.sqs_wait_s
  return [line(prices, 'SQS', 'aws/sqs/standard-request', requests, 'queue that Lambda polls: 5 connections of 20 s')]
}

/** Charged by the metric: an alarm on a sum has as many as it adds up. */
const alarm: Priced = ({ properties }, _all, prices) => {
  const listed = z
    .array(z.object({ MetricStat: z.unknown().optional() }))
    .optional()
    .parse(properties.Metrics)
  const metrics = listed === undefined ? 1 : listed.filter(({ MetricStat }) => MetricStat !== undefined).length
  return Array.from({ length: metrics }, () =>
    line(prices, 'CloudWatch', 'aws/cloudwatch/alarm-month', 1, 'metric with an alarm'),
  )
}

const table: Priced = ({ properties }, _all, prices) => {
  const stored = line(prices, 'DynamoDB', 'aws/dynamodb/standard/gb-month', gb(assumptions.table_bytes), 'records kept (10 MB)')
  const text = JSON.stringify(properties)
  return /"PointInTimeRecoveryEnabled":true/.test(text)
    ? [
        stored,
        line(prices, 'DynamoDB', 'aws/dynamodb/pitr/gb-month', gb(assumptions.table_bytes), 'point-in-time recovery (10 MB)'),
      ]
    : [stored]
}

const webAcl: Priced = ({ properties }, _all, prices) => [
  line(prices, 'WAF', 'aws/waf/web-acl-month', 1, 'web ACL'),
  ...Array.from({ length: count(properties.Rules) }, () => line(prices, 'WAF', 'aws/waf/rule-month', 1, 'rule')),
]

/** Gateway endpoints are free; an interface endpoint has one network interface per subnet. */
const endpoint: Priced = ({ properties }, _all, prices) =>
  properties.VpcEndpointType !== 'Interface'
    ? []
    : Array.from({ length: Math.max(1, count(properties.SubnetIds)) }, () =>
        line(prices, 'VPC', 'aws/vpc/interface-endpoint/hour', hoursPerMonth, 'interface endpoint in a zone'),
      )

const each =
  (service: string, sku: string, what: string): Priced =>
  (_resource, _all, prices) => [line(prices, service, sku, 1, what)]

/** Types with a price at rest. */
export const priced: Readonly<Record<string, Priced>> = {
  'AWS::Scheduler::Schedule': schedule,
  'AWS::Lambda::EventSourceMapping': eventSource,
  'AWS::CloudWatch::Alarm': alarm,
  'AWS::CloudWatch::Dashboard': each('CloudWatch', 'aws/cloudwatch/dashboard-month', 'dashboard'),
  'AWS::DynamoDB::Table': table,
  'AWS::DynamoDB::GlobalTable': table,
  'AWS::KMS::Key': each('KMS', 'aws/kms/key-month', 'customer-managed key'),
  'AWS::SecretsManager::Secret': each('Secrets Manager', 'aws/secrets-manager/secret-month', 'secret'),
  'AWS::WAFv2::WebACL': webAcl,
  'AWS::EC2::VPCEndpoint': endpoint,
  'AWS::Route53::HostedZone': each('Route 53', 'aws/route53/hosted-zone-month', 'hosted zone'),
}

/** Types without a price while nobody uses them, each with why. A type in neither list stops the computation. */
export const freeAtRest: Readonly<Record<string, string>> = {
  'AWS::ApiGateway::*': 'charged by the request; access logs and detailed metrics come with requests',
  'AWS::Lambda::*': 'charged by the call; its files are counted as staged bytes',
  'AWS::StepFunctions::StateMachine': 'charged by the state transition',
  'AWS::IAM::*': 'free',
  'AWS::S3::*': 'charged by what is stored; empty at rest',
  'AWS::Logs::*': 'charged by what is written and kept, counted with what writes',
  'AWS::Cognito::*': 'charged by the active user of a month',
  'AWS::Events::*': 'charged by the event; a rule and a bus are free',
  'AWS::SQS::*': 'charged by the request; polling is counted with the event source',
  'AWS::SNS::*': 'charged by the message',
  'AWS::Scheduler::ScheduleGroup': 'free',
  'AWS::CloudFront::*': 'charged by the request and byte',
  'AWS::Budgets::Budget': 'free without actions',
  'AWS::SSM::Parameter': 'standard parameters are free',
  'AWS::EC2::*': 'networks, subnets, route tables and security groups are free; there is no NAT gateway',
  'AWS::WAFv2::*': 'an association is free; the web ACL is counted',
  'AWS::KMS::Alias': 'free',
  'AWS::DynamoDB::*': 'free',
  'AWS::ApplicationAutoScaling::*': 'free',
  'AWS::ResourceGroups::*': 'free',
  'AWS::XRay::*': 'charged by the trace',
  'AWS::CertificateManager::*': 'public certificates are free',
  'AWS::Route53::RecordSet': 'free; its zone is counted',
  'AWS::SES::*': 'charged by the message',
  'AWS::CDK::Metadata': 'says which CDK made the template',
  'AWS::CloudFormation::*': 'free',
  'Custom::*': 'free: a call of a function at deploy time',
}

export const isFree = (type: string): boolean =>
  type in freeAtRest || `${type.split('::').slice(0, -1).join('::')}::*` in freeAtRest
