/**
 * How AWS's price list names what the platform charges: one row per SKU of the price book. To add a price, add its row here and its price
 * to the snapshot (which also gives the unit). Usage types are compared without their region prefix (`USE1-`, `EUC1-`, none in us-east-1);
 * `*` stands for one instance type and fills the `*` of the SKU.
 */
export interface AwsProductRow {
  sku: string
  service: string
  usagetype: string
  /** Further attributes that must be equal, where a usage type alone is not one product. */
  attributes?: Readonly<Record<string, string>>
  /** Units of the list in one unit of the book, e.g. 1,000,000 where the list prices a million requests. Default 1. */
  per?: number
}

const row =
  (service: string) =>
  (sku: string, usagetype: string, more: Pick<AwsProductRow, 'attributes' | 'per'> = {}): AwsProductRow => ({
    sku,
    service,
    usagetype,
    ...more,
  })
const lambda = row('AWSLambda')
const s3 = row('AmazonS3')
const dynamodb = row('AmazonDynamoDB')
const sagemaker = row('AmazonSageMaker')
const cloudwatch = row('AmazonCloudWatch')

const serverlessSizes = [1, 2, 3, 4, 5, 6].map((gb) =>
  sagemaker(`aws/sagemaker/serverless/${gb}gb/second`, `ServerlessInf:Mem-${gb}GB`),
)

export const awsProducts: readonly AwsProductRow[] = [
  lambda('aws/lambda/x86/gb-second', 'Lambda-GB-Second'),
  lambda('aws/lambda/arm64/gb-second', 'Lambda-GB-Second-ARM'),
  lambda('aws/lambda/request', 'Request'),
  lambda('aws/lambda/ephemeral-storage-gb-second', 'Lambda-Storage-GB-Second'),
  lambda('aws/lambda/x86/provisioned-concurrency-gb-second', 'Lambda-Provisioned-Concurrency'),
  lambda('aws/lambda/arm64/provisioned-concurrency-gb-second', 'Lambda-Provisioned-Concurrency-ARM'),
  lambda('aws/lambda/x86/provisioned-duration-gb-second', 'Lambda-Provisioned-GB-Second'),
  lambda('aws/lambda/arm64/provisioned-duration-gb-second', 'Lambda-Provisioned-GB-Second-ARM'),
  s3('aws/s3/standard/gb-month', 'TimedStorage-ByteHrs', { attributes: { volumeType: 'Standard' } }),
  s3('aws/s3/standard/put-request', 'Requests-Tier1'),
  s3('aws/s3/standard/get-request', 'Requests-Tier2'),
  s3('aws/s3/standard-ia/gb-month', 'TimedStorage-SIA-ByteHrs'),
  s3('aws/s3/intelligent-tiering/gb-month', 'TimedStorage-INT-FA-ByteHrs'),
  s3('aws/s3/intelligent-tiering/infrequent-gb-month', 'TimedStorage-INT-IA-ByteHrs'),
  s3('aws/s3/intelligent-tiering/archive-instant-gb-month', 'TimedStorage-INT-AIA-ByteHrs'),
  s3('aws/s3/intelligent-tiering/monitored-object-month', 'Monitoring-Automation-INT'),
  s3('aws/s3/glacier-ir/gb-month', 'TimedStorage-GIR-ByteHrs'),
  s3('aws/s3/glacier-ir/put-request', 'Requests-GIR-Tier1'),
  s3('aws/s3/glacier-ir/get-request', 'Requests-GIR-Tier2'),
  s3('aws/s3/glacier-ir/retrieval-gb', 'Retrieval-GIR'),
  dynamodb('aws/dynamodb/on-demand/write-request-unit', 'WriteRequestUnits'),
  dynamodb('aws/dynamodb/on-demand/read-request-unit', 'ReadRequestUnits'),
  dynamodb('aws/dynamodb/standard/gb-month', 'TimedStorage-ByteHrs', {
    attributes: { volumeType: 'Amazon DynamoDB - Indexed DataStore' },
  }),
  dynamodb('aws/dynamodb/pitr/gb-month', 'TimedPITRStorage-ByteHrs'),
  row('AWSDataTransfer')('aws/data-transfer/out/gb', 'DataTransfer-Out-Bytes', { attributes: { transferType: 'AWS Outbound' } }),
  sagemaker('aws/sagemaker/real-time/*/hour', 'Host:*'),
  sagemaker('aws/sagemaker/processing/*/hour', 'Processing:*'),
  sagemaker('aws/sagemaker/training/*/hour', 'Train:*'),
  sagemaker('aws/sagemaker/real-time/data-in-gb', 'Hst:Data-Bytes-In'),
  sagemaker('aws/sagemaker/real-time/data-out-gb', 'Hst:Data-Bytes-Out'),
  ...serverlessSizes,
  cloudwatch('aws/cloudwatch/logs/ingest-gb', 'DataProcessing-Bytes'),
  cloudwatch('aws/cloudwatch/logs/gb-month', 'TimedStorage-ByteHrs'),
  cloudwatch('aws/cloudwatch/alarm-month', 'CW:AlarmMonitorUsage'),
  cloudwatch('aws/cloudwatch/metric-month', 'CW:MetricMonitorUsage'),
  cloudwatch('aws/cloudwatch/dashboard-month', 'DashboardsUsageHour'),
  cloudwatch('aws/cloudwatch/request', 'CW:Requests'),
  row('AmazonStates')('aws/step-functions/transition', 'StateTransition'),
  row('AmazonApiGateway')('aws/api-gateway/rest-request', 'ApiGatewayRequest'),
  row('AWSQueueService')('aws/sqs/standard-request', 'Requests-Tier1', { attributes: { queueType: 'Standard' } }),
  row('AWSEvents')('aws/eventbridge/custom-event', 'Event-64K-Chunks', { attributes: { eventType: 'Custom Event' } }),
  row('AWSEvents')('aws/eventbridge/scheduler-invocation', 'ScheduledInvocation'),
  row('AWSSecretsManager')('aws/secrets-manager/secret-month', 'AWSSecretsManager-Secrets'),
  row('AWSSecretsManager')('aws/secrets-manager/request', 'AWSSecretsManagerAPIRequest'),
  row('awskms')('aws/kms/key-month', 'KMS-Keys'),
  row('awskms')('aws/kms/request', 'KMS-Requests'),
  row('awswaf')('aws/waf/web-acl-month', 'WebACLV2'),
  row('awswaf')('aws/waf/rule-month', 'RuleV2'),
  row('awswaf')('aws/waf/request', 'RequestV2-Tier1'),
  row('AmazonVPC')('aws/vpc/interface-endpoint/hour', 'VpcEndpoint-Hours'),
  row('AmazonVPC')('aws/vpc/interface-endpoint/gb', 'VpcEndpoint-Bytes'),
  row('AmazonCognito')('aws/cognito/essentials/active-user-month', 'CognitoEssentialsMAU'),
  row('AmazonSES')('aws/ses/message', 'Recipients'),
]

/** Every service of the table, in its order. */
export const awsServices: readonly string[] = [...new Set(awsProducts.map(({ service }) => service))]
