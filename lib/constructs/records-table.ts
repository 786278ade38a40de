import { RemovalPolicy } from 'aws-cdk-lib'
import {
  AttributeType,
  Billing,
  BillingMode,
  type ITable,
  ProjectionType,
  StreamViewType,
  Table,
  TableEncryption,
  TableV2,
} from 'aws-cdk-lib/aws-dynamodb'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import type { Construct } from 'constructs'
import { recordsTable } from '../../layers/records/records-table.ts'
import { names } from '../names.ts'
import type { Stage } from '../stage.ts'

const text = (name: string) => ({ name, type: AttributeType.STRING })

/** The table of `layers/records`. A stage with a replica region has a global table, which is another resource type of CloudFormation. */
export const recordsTableOf = (scope: Construct, stage: Stage, key: IKey | undefined): ITable =>
  stage.replicaRegion === undefined ? regional(scope, stage, key) : global(scope, stage, stage.replicaRegion)

const keys = { partitionKey: text(recordsTable.key.pk), sortKey: text(recordsTable.key.sk) }
const indexes = Object.entries(recordsTable.indexes).map(([indexName, key]) => ({
  indexName,
  partitionKey: text(key.pk),
  sortKey: text(key.sk),
  projectionType: ProjectionType.ALL,
}))
const recovery = (stage: Stage) => ({
  pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true, recoveryPeriodInDays: stage.pointInTimeDays },
  timeToLiveAttribute: recordsTable.ttl,
  deletionProtection: stage.protectData,
  removalPolicy: RemovalPolicy.RETAIN,
})

const regional = (scope: Construct, stage: Stage, key: IKey | undefined): Table => {
  const table = new Table(scope, 'records', {
    tableName: names(stage).table,
    ...keys,
    billingMode: BillingMode.PAY_PER_REQUEST,
    ...(key === undefined
      ? { encryption: TableEncryption.AWS_MANAGED }
      : { encryption: TableEncryption.CUSTOMER_MANAGED, encryptionKey: key }),
    stream: StreamViewType.NEW_AND_OLD_IMAGES,
    ...recovery(stage),
  })
  for (const index of indexes) table.addGlobalSecondaryIndex(index)
  return table
}

/** Writes are answered by either region and the last one wins, so only one region may run the platform at a time. */
const global = (scope: Construct, stage: Stage, region: string): TableV2 =>
  new TableV2(scope, 'global-records', {
    tableName: names(stage).table,
    ...keys,
    billing: Billing.onDemand(),
    dynamoStream: StreamViewType.NEW_AND_OLD_IMAGES,
    globalSecondaryIndexes: indexes,
    replicas: [{ region, deletionProtection: stage.protectData }],
    ...recovery(stage),
  })
