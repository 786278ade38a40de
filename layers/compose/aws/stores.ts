import { clientSettings, transferSettings } from '../../aws/client-settings.ts'
import type { Artifacts } from '../../core/ports/artifacts.ts'
import type { Records } from '../../core/ports/records.ts'
import { lazyPort } from '../lazy-port.ts'
import { environment } from './environment.ts'

/** Where the platform keeps what must last: one table, one bucket. */

export const now = (): Date => new Date()

export const records: Records = lazyPort(async () => {
  const [{ dynamodbRecords }, { DynamoDBClient }, { DynamoDBDocumentClient }] = await Promise.all([
    import('../../records/dynamodb.ts'),
    import('@aws-sdk/client-dynamodb'),
    import('@aws-sdk/lib-dynamodb'),
  ])
  return dynamodbRecords({
    table: environment.AIDEPLOY_TABLE,
    client: () => DynamoDBDocumentClient.from(new DynamoDBClient(clientSettings)),
    now,
  })
}, ['get', 'query', 'write'])

export const artifacts: Artifacts = lazyPort(async () => {
  const [{ s3Artifacts }, { S3Client }] = await Promise.all([import('../../artifacts/s3.ts'), import('@aws-sdk/client-s3')])
  return s3Artifacts({
    bucket: environment.AIDEPLOY_BUCKET,
    client: () => new S3Client(transferSettings),
    now,
    scratch_dir: '/tmp',
  })
}, ['put', 'read', 'stat', 'remove', 'list', 'asFile', 'beginUpload', 'completeUpload', 'abortUpload', 'compact', 'expand'])
