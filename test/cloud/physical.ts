import { type Physical, pseudo, type Resource } from './intrinsics.ts'

export const arn = (service: string, rest: string): string => `arn:aws:${service}:us-east-1:123456789012:${rest}`

type Naming = (logical_id: string, properties: Record<string, unknown>) => Record<string, unknown> & { Ref: unknown }

const named = (of: unknown, fallback: string): string => (typeof of === 'string' ? of : fallback)

const namings: Record<string, Naming> = {
  'AWS::DynamoDB::Table': (_, { TableName }) => ({
    Ref: TableName,
    Arn: arn('dynamodb', `table/${String(TableName)}`),
    StreamArn: arn('dynamodb', `table/${String(TableName)}/stream/1`),
  }),
  'AWS::S3::Bucket': (id, { BucketName }) => {
    const name = named(BucketName, id.toLowerCase())
    return { Ref: name, Arn: `arn:aws:s3:::${name}` }
  },
  'AWS::Lambda::Function': (id, { FunctionName }) => {
    const name = named(FunctionName, id)
    return { Ref: name, Arn: arn('lambda', `function:${name}`) }
  },
  'AWS::Lambda::LayerVersion': (id, { LayerName }) => ({ Ref: arn('lambda', `layer:${named(LayerName, id)}:1`) }),
  'AWS::Logs::LogGroup': (id, { LogGroupName }) => ({
    Ref: named(LogGroupName, id),
    Arn: `${arn('logs', `log-group:${named(LogGroupName, id)}`)}:*`,
  }),
  'AWS::SQS::Queue': (id, { QueueName }) => {
    const name = named(QueueName, id)
    return { Ref: `http://sqs/${name}`, Arn: arn('sqs', name), QueueName: name }
  },
  'AWS::StepFunctions::StateMachine': (id, { StateMachineName }) => {
    const name = named(StateMachineName, id)
    return { Ref: arn('states', `stateMachine:${name}`), Arn: arn('states', `stateMachine:${name}`), Name: name }
  },
  'AWS::IAM::Role': (id, { RoleName }) => ({
    Ref: named(RoleName, id),
    Arn: `arn:aws:iam::123456789012:role/${named(RoleName, id)}`,
  }),
  'AWS::Events::EventBus': (id, { Name }) => ({
    Ref: named(Name, id),
    Arn: arn('events', `event-bus/${named(Name, id)}`),
    Name: named(Name, id),
  }),
  'AWS::ApiGateway::RestApi': () => ({ Ref: 'api', RootResourceId: 'root' }),
}

/** Names and ARNs as the services would give them; `given` knows those that something running decides, e.g. the user pool's. */
export const physicalNames =
  (given: Readonly<Record<string, Record<string, unknown>>>): Physical =>
  (_, logical_id, { Type, Properties = {} }: Resource, attribute) => {
    const known = given[Type] ?? namings[Type]?.(logical_id, Properties) ?? { Ref: logical_id }
    const value = known[attribute ?? 'Ref']
    return value ?? `${logical_id}.${attribute ?? 'Ref'}.${pseudo['AWS::Region']}`
  }
