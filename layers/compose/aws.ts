import * as z from 'zod'
import manifest from '../../package.json' with { type: 'json' }
import { PlatformError } from '../core/contract/errors.ts'
import type { App } from '../core/ports/app.ts'
import type { Artifacts } from '../core/ports/artifacts.ts'
import type { Records } from '../core/ports/records.ts'
import { newId } from './ids.ts'
import { jsonLog } from './json-log.ts'

/**
 * The platform on AWS. Records and artifacts are there; every other port fails the moment something is composed with it, by name,
 * instead of half working. SDK clients are made at their first use: importing them costs more than most requests.
 */

const Environment = z.object({
  AIDEPLOY_TABLE: z.string().min(1),
  AIDEPLOY_BUCKET: z.string().min(1),
  AIDEPLOY_PUBLIC_URL: z.url().default('https://aideploy.invalid'),
})
const environment = Environment.parse(process.env)

const missing = (port: keyof App): never => {
  throw new PlatformError('port_unavailable', `The AWS composition has no ${port} yet; it has records and artifacts`, {
    facts: { port },
  })
}

const now = (): Date => new Date()

/** Imported at the first call: the SDK takes 150 ms to load, which a request that does not need it should not pay. */
const once = <Part>(load: () => Promise<Part>): (() => Promise<Part>) => {
  let loaded: Promise<Part> | undefined
  return () => (loaded ??= load())
}

const dynamodb = once(async (): Promise<Records> => {
  const [{ dynamodbRecords }, { DynamoDBClient }, { DynamoDBDocumentClient }] = await Promise.all([
    import('../records/dynamodb.ts'),
    import('@aws-sdk/client-dynamodb'),
    import('@aws-sdk/lib-dynamodb'),
  ])
  return dynamodbRecords({
    table: environment.AIDEPLOY_TABLE,
    client: () => DynamoDBDocumentClient.from(new DynamoDBClient({})),
    now,
  })
})

const s3 = once(async (): Promise<Artifacts> => {
  const [{ s3Artifacts }, { S3Client }] = await Promise.all([import('../artifacts/s3.ts'), import('@aws-sdk/client-s3')])
  return s3Artifacts({ bucket: environment.AIDEPLOY_BUCKET, client: () => new S3Client({}), now, scratch_dir: '/tmp' })
})

const records: Records = {
  get: async (key) => (await dynamodb()).get(key),
  query: async (query) => (await dynamodb()).query(query),
  write: async (operations) => (await dynamodb()).write(operations),
}

const artifacts: Artifacts = {
  put: async (key, body, expected) => (await s3()).put(key, body, expected),
  read: async (key, range) => (await s3()).read(key, range),
  stat: async (key) => (await s3()).stat(key),
  remove: async (key) => (await s3()).remove(key),
  list: async (prefix) => (await s3()).list(prefix),
  asFile: async (key) => (await s3()).asFile(key),
  beginUpload: async (key, size_bytes) => (await s3()).beginUpload(key, size_bytes),
  completeUpload: async (key, upload_id, parts, expected) => (await s3()).completeUpload(key, upload_id, parts, expected),
  abortUpload: async (key, upload_id) => (await s3()).abortUpload(key, upload_id),
}

export const app: App = {
  records,
  artifacts,
  get workflows() {
    return missing('workflows')
  },
  get inspector() {
    return missing('inspector')
  },
  get identity() {
    return missing('identity')
  },
  get secrets() {
    return missing('secrets')
  },
  get mail() {
    return missing('mail')
  },
  get events() {
    return missing('events')
  },
  get deployers() {
    return missing('deployers')
  },
  get optimizers() {
    return missing('optimizers')
  },
  get workbench() {
    return missing('workbench')
  },
  get prices() {
    return missing('prices')
  },
  get meter() {
    return missing('meter')
  },
  log: jsonLog(),
  config: {
    version: manifest.version,
    public_url: environment.AIDEPLOY_PUBLIC_URL,
    max_upload_bytes: 5_000_000_000,
    wake_wait_ms: 20_000,
    scratch_dir: '/tmp',
  },
  now,
  newId: (prefix) => newId(prefix, Date.now()),
}
