import { RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib'
import type { ITable } from 'aws-cdk-lib/aws-dynamodb'
import { type IKey, Key } from 'aws-cdk-lib/aws-kms'
import type { Bucket } from 'aws-cdk-lib/aws-s3'
import type { Construct } from 'constructs'
import { artifactBucket } from '../constructs/artifact-bucket.ts'
import { permissionsBoundary } from '../constructs/permissions-boundary.ts'
import { recordsTableOf } from '../constructs/records-table.ts'
import type { Stage } from '../stage.ts'

export interface Data {
  readonly table: ITable
  readonly artifacts: Bucket
  /** The customer-managed key, where the stage has one. */
  readonly key: IKey | undefined
}

/** What must survive everything else: records and artifacts. Kept when the stack goes; protected stages also refuse deletion. */
export class DataStack extends Stack implements Data {
  readonly table: ITable
  readonly artifacts: Bucket
  readonly key: IKey | undefined

  constructor(scope: Construct, id: string, { stage, ...props }: StackProps & { stage: Stage }) {
    super(scope, id, { ...props, terminationProtection: stage.protectData })
    this.key = stage.kmsKey ? dataKey(this, stage) : undefined
    this.table = recordsTableOf(this, stage, this.key)
    this.artifacts = artifactBucket(this, stage, this.key)
    permissionsBoundary(this, stage, this)
  }
}

/** Losing the key is losing the data, so it outlives the stack too. */
const dataKey = (scope: Construct, stage: Stage): Key =>
  new Key(scope, 'key', {
    alias: `alias/aideploy-${stage.name}`,
    description: `AI Deploy ${stage.name}: records and artifacts`,
    enableKeyRotation: true,
    removalPolicy: RemovalPolicy.RETAIN,
  })
