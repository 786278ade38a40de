import { Duration, RemovalPolicy } from 'aws-cdk-lib'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type BucketProps,
  HttpMethods,
  ObjectOwnership,
  StorageClass,
} from 'aws-cdk-lib/aws-s3'
import type { Construct } from 'constructs'
import type { Stage } from '../stage.ts'

const closed = {
  blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
  enforceSSL: true,
  minimumTLSVersion: 1.2,
  removalPolicy: RemovalPolicy.RETAIN,
} as const

/** Artifacts and the log of who read them. Unfinished uploads, scratch files and old versions go by themselves. */
export const artifactBucket = (scope: Construct, stage: Stage, key: IKey | undefined): Bucket => {
  const logs = new Bucket(scope, 'access-logs', {
    ...closed,
    encryption: BucketEncryption.S3_MANAGED,
    objectOwnership: ObjectOwnership.OBJECT_WRITER,
    lifecycleRules: [{ expiration: Duration.days(90), abortIncompleteMultipartUploadAfter: Duration.days(1) }],
  })
  return new Bucket(scope, 'artifacts', {
    ...closed,
    ...(key === undefined
      ? { encryption: BucketEncryption.S3_MANAGED }
      : { encryption: BucketEncryption.KMS, encryptionKey: key, bucketKeyEnabled: true }),
    versioned: true,
    serverAccessLogsBucket: logs,
    serverAccessLogsPrefix: 'artifacts/',
    ...(stage.corsOrigins.length === 0 ? {} : { cors: [uploadsFrom(stage.corsOrigins)] }),
    lifecycleRules: lifecycle,
    ...replication(scope, stage),
  })
}

/** Parts of an upload go from the browser straight to S3; the answer's ETag completes it. */
const uploadsFrom = (allowedOrigins: string[]) => ({
  allowedOrigins,
  allowedMethods: [HttpMethods.PUT],
  allowedHeaders: ['*'],
  exposedHeaders: ['ETag'],
  maxAge: 3600,
})

const lifecycle: BucketProps['lifecycleRules'] = [
  { abortIncompleteMultipartUploadAfter: Duration.days(2), expiredObjectDeleteMarker: true },
  { prefix: 'scratch/', expiration: Duration.days(2), noncurrentVersionExpiration: Duration.days(1) },
  // Samples of requests are gone soon after they were forgotten, and in any case when nobody made new ones for so long.
  { prefix: 'samples/', expiration: Duration.days(90), noncurrentVersionExpiration: Duration.days(1) },
  { prefix: 'processing/', expiration: Duration.days(7), noncurrentVersionExpiration: Duration.days(1) },
  {
    transitions: [{ storageClass: StorageClass.INTELLIGENT_TIERING, transitionAfter: Duration.days(0) }],
    noncurrentVersionExpiration: Duration.days(30),
  },
]

const replication = (scope: Construct, { replicaBucketArn }: Stage): BucketProps =>
  replicaBucketArn === undefined
    ? {}
    : {
        replicationRules: [
          { destination: Bucket.fromBucketArn(scope, 'replica', replicaBucketArn), priority: 0, deleteMarkerReplication: true },
        ],
      }
