import { Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib'
import { AttributeType, BillingMode, ProjectionType, StreamViewType, Table, TableEncryption } from 'aws-cdk-lib/aws-dynamodb'
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership, StorageClass } from 'aws-cdk-lib/aws-s3'
import type { Construct } from 'constructs'
import { recordsTable } from '../../layers/records/records-table.ts'
import { names } from '../names.ts'
import type { Stage } from '../stage.ts'

export interface Data {
  readonly table: Table
  readonly artifacts: Bucket
}

/** What must survive everything else: records and artifacts. Kept when the stack goes; in prod they also refuse deletion. */
export class DataStack extends Stack implements Data {
  readonly table: Table
  readonly artifacts: Bucket

  constructor(scope: Construct, id: string, { stage, ...props }: StackProps & { stage: Stage }) {
    super(scope, id, { ...props, terminationProtection: stage.protectData })
    this.table = records(this, stage)
    this.artifacts = artifacts(this)
  }
}

const text = (name: string) => ({ name, type: AttributeType.STRING })

const records = (scope: Construct, stage: Stage): Table => {
  const table = new Table(scope, 'records', {
    tableName: names(stage).table,
    partitionKey: text(recordsTable.key.pk),
    sortKey: text(recordsTable.key.sk),
    billingMode: BillingMode.PAY_PER_REQUEST,
    encryption: TableEncryption.AWS_MANAGED,
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    timeToLiveAttribute: recordsTable.ttl,
    stream: StreamViewType.NEW_AND_OLD_IMAGES,
    deletionProtection: stage.protectData,
    removalPolicy: RemovalPolicy.RETAIN,
  })
  for (const [indexName, key] of Object.entries(recordsTable.indexes))
    table.addGlobalSecondaryIndex({
      indexName,
      partitionKey: text(key.pk),
      sortKey: text(key.sk),
      projectionType: ProjectionType.ALL,
    })
  return table
}

const artifacts = (scope: Construct): Bucket => {
  const logs = new Bucket(scope, 'access-logs', {
    ...closed,
    objectOwnership: ObjectOwnership.OBJECT_WRITER,
    lifecycleRules: [{ expiration: Duration.days(90), abortIncompleteMultipartUploadAfter: Duration.days(1) }],
  })
  return new Bucket(scope, 'artifacts', {
    ...closed,
    versioned: true,
    serverAccessLogsBucket: logs,
    serverAccessLogsPrefix: 'artifacts/',
    lifecycleRules: [
      { abortIncompleteMultipartUploadAfter: Duration.days(2) },
      {
        transitions: [{ storageClass: StorageClass.INTELLIGENT_TIERING, transitionAfter: Duration.days(0) }],
        noncurrentVersionExpiration: Duration.days(30),
      },
    ],
  })
}

const closed = {
  encryption: BucketEncryption.S3_MANAGED,
  blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
  enforceSSL: true,
  minimumTLSVersion: 1.2,
  removalPolicy: RemovalPolicy.RETAIN,
} as const
