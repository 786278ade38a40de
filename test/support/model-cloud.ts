import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import { DynamoDBDocumentClient, ScanCommand } from '@aws-sdk/lib-dynamodb'
import * as z from 'zod'
import { UsageRow } from '../../layers/core/domain/usage.ts'
import type { Operation } from '../../layers/core/ports/records.ts'
import { dynamodbRecords } from '../../layers/records/dynamodb.ts'
import { withTransactions } from './dynalite-transactions.ts'
import { createRecordsTable, dynamoClient, s3Client, startDynalite, startS3 } from './emulators.ts'
import { faultyS3 } from './faulty-s3.ts'
import type { LambdaFunction } from './lambda-environments.ts'
import { startLambda } from './lambda-runtime.ts'
import { bundledRuntime, createBucket, modelEnvironment, publishModel, startPool } from './published-model.ts'

/** Everything a model function meets on AWS: bucket, table, user pool, and Lambda itself with the real bundle. */
export const modelCloud = async ({ most = 12 } = {}) => {
  const [runtime, s3, dynamodb, pool] = await Promise.all([
    bundledRuntime(),
    startS3().then(faultyS3),
    startDynalite().then(withTransactions),
    startPool(),
  ])
  const table = dynamoClient(dynamodb.endpoint)
  await createRecordsTable(table, 'records')
  const bucket = s3Client(s3.endpoint)
  await createBucket(bucket, 'artifacts')
  const functions = new Map<string, LambdaFunction>()
  const host = await startLambda({ functions, most })
  const records = dynamodbRecords({ table: 'records', client: () => table, now: () => new Date() })
  let deployed = 0

  /** Publishes a model and makes its function, as the deployer does. Answers its name and id. */
  const deploy = async (
    model: Uint8Array | string,
    changes: { environment?: Record<string, string>; timeout_s?: number; memory_mb?: number; name?: string } = {},
  ) => {
    deployed += 1
    const id = `dep_${deployed}`
    const facts = { organization_id: 'org_1', deployment_id: id, revision: 1, name: changes.name ?? 'iris' }
    const published = await publishModel(bucket, 'artifacts', facts, model)
    const { timeout_s = 15, memory_mb = 1024 } = changes
    const environment = {
      ...modelEnvironment(published, { AIDEPLOY_MEMORY_LIMIT_BYTES: String(memory_mb * 2 ** 20) }),
      ...pool.environment,
      ...{ AWS_ENDPOINT_URL_S3: s3.endpoint, AWS_ENDPOINT_URL_DYNAMODB: dynamodb.endpoint },
      ...changes.environment,
    }
    functions.set(id, { folder: runtime.folder, handler: 'handler.handler', environment, timeout_s, memory_mb })
    return { id, published, url: await host.url(id) }
  }
  const usageRows = async (deployment_id: string): Promise<UsageRow[]> => {
    const { Items = [] } = await DynamoDBDocumentClient.from(table).send(new ScanCommand({ TableName: 'records' }))
    return Items.filter(({ pk, sk }) => pk === `usage#${deployment_id}` && String(sk).startsWith('minute#')).map(({ body }) =>
      UsageRow.parse(JSON.parse(z.string().parse(body))),
    )
  }
  /** What a function left of its requests, by key. */
  const recordedOf = async (deployment_id: string): Promise<Record<string, Uint8Array>> => {
    const Prefix = `samples/org_1/${deployment_id}/`
    const { Contents = [] } = await bucket.send(new ListObjectsV2Command({ Bucket: 'artifacts', Prefix }))
    const found: Record<string, Uint8Array> = {}
    for (const { Key = '' } of Contents) {
      const { Body } = await bucket.send(new GetObjectCommand({ Bucket: 'artifacts', Key }))
      found[Key] = (await Body?.transformToByteArray()) ?? new Uint8Array()
    }
    return found
  }
  return {
    host,
    s3,
    recordedOf,
    pool,
    records,
    deploy,
    usageRows,
    folderOf: (id: string): string => functions.get(id)?.folder ?? '',
    /** One write each: nothing here depends on them happening together. */
    store: async (operations: Operation[]) => {
      for (const operation of operations) await records.write([operation])
    },
    stop: async () => {
      await host.stop()
      await Promise.all([s3.stop(), dynamodb.stop()])
      pool.stop()
      runtime.remove()
    },
  }
}
export type ModelCloud = Awaited<ReturnType<typeof modelCloud>>

/** Requests of a deployment, from its usage rows. */
export const counted = (rows: readonly UsageRow[]) => ({
  requests: rows.reduce((sum, row) => sum + row.requests, 0),
  errors: rows.reduce((sum, row) => sum + row.errors, 0),
  cold_starts: rows.reduce((sum, row) => sum + row.cold_starts, 0),
  bytes_out: rows.reduce((sum, row) => sum + row.bytes_out, 0),
})
