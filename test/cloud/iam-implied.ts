import { arn } from './physical.ts'
import type { Resources } from './synthesise.ts'
import type { Witness } from './witness.ts'

/** What AWS itself asks in the name of a role, told by the templates alone: logs, pollers of streams and queues, dead letters, schedules. */
export const noteImplied = (ofType: Resources, witness: Witness, models: readonly string[]): void => {
  const note = (caller: string, resource: unknown, ...actions: string[]): void => {
    for (const action of actions) witness.note(caller, { action, resource: String(resource) })
  }
  for (const { properties } of ofType('AWS::Lambda::Function')) {
    const group = Object(properties.LoggingConfig).LogGroup
    note(String(properties.FunctionName), streamOf(String(group)), 'logs:CreateLogStream', 'logs:PutLogEvents')
  }
  for (const name of models)
    note(name, streamOf(name.replace(/^aideploy-(\w+)-m-/, '/aideploy/$1/m/')), 'logs:CreateLogStream', 'logs:PutLogEvents')
  for (const { properties } of ofType('AWS::Lambda::EventSourceMapping')) {
    const caller = nameIn(properties.FunctionName)
    const source = String(properties.EventSourceArn)
    note(caller, source, ...(source.includes(':sqs:') ? ofQueues : ofStreams))
    const lost = Object(Object(properties.DestinationConfig).OnFailure).Destination
    if (lost !== undefined) note(caller, lost, 'sqs:SendMessage')
  }
  for (const { properties } of ofType('AWS::Lambda::EventInvokeConfig'))
    note(nameIn(properties.FunctionName), Object(Object(properties.DestinationConfig).OnFailure).Destination, 'sqs:SendMessage')
  for (const { properties } of ofType('AWS::Scheduler::Schedule')) {
    const target = Object(properties.Target)
    note(String(properties.Name), target.Arn, 'lambda:InvokeFunction')
    note(String(properties.Name), target.DeadLetterConfig.Arn, 'sqs:SendMessage')
  }
}

const streamOf = (group: string): string => arn('logs', `log-group:${group}:log-stream:2026/11/21/[$LATEST]0ec5`)

/** Lambda developer guide, "Process Amazon DynamoDB records with Lambda" and "Using Lambda with Amazon SQS", execution role permissions. */
const ofStreams = ['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator', 'dynamodb:ListStreams']
const ofQueues = ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes']

const nameIn = (text: unknown): string => String(text).split(':function:').at(-1) ?? ''

/** Functions behind the gateway that it may not invoke: those without a permission for it. */
export const closedToGateway = (ofType: Resources, behind: readonly string[]): string[] => {
  const open = ofType('AWS::Lambda::Permission')
    .filter(
      ({ properties }) =>
        properties.Principal === 'apigateway.amazonaws.com' &&
        properties.Action === 'lambda:InvokeFunction' &&
        /^arn:aws:execute-api:us-east-1:123456789012:api\//.test(String(properties.SourceArn)),
    )
    .map(({ properties }) => nameIn(properties.FunctionName))
  return behind.filter((name) => !open.includes(name))
}
