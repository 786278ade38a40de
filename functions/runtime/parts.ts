import { clientSettings } from '../../layers/aws/client-settings.ts'
import type { Records } from '../../layers/core/ports/records.ts'
import type { CallerParts } from '../../layers/core/usecases/authenticate-caller.ts'
import type { ReadRange } from '../../layers/model-files/fetch-file.ts'
import { type BucketPlace, s3Put, s3Ranges } from '../../layers/model-files/s3-ranges.ts'
import { environment } from './environment.ts'

/** What this function reaches outside itself. Every SDK is imported at its first use, because importing costs more than most requests. */

const once = <Part>(load: () => Promise<Part>): (() => Promise<Part>) => {
  let loaded: Promise<Part> | undefined
  return () => {
    loaded ??= load().catch((error: unknown) => {
      loaded = undefined
      throw error
    })
    return loaded
  }
}

export const now = (): Date => new Date()

const dynamodb = once(async (): Promise<Records> => {
  const [{ dynamodbRecords }, { DynamoDBClient }, { DynamoDBDocumentClient }] = await Promise.all([
    import('../../layers/records/dynamodb.ts'),
    import('@aws-sdk/client-dynamodb'),
    import('@aws-sdk/lib-dynamodb'),
  ])
  const client = () => DynamoDBDocumentClient.from(new DynamoDBClient(clientSettings))
  return dynamodbRecords({ table: environment.AIDEPLOY_TABLE, client, now })
})

export const records: Records = {
  get: async (key) => (await dynamodb()).get(key),
  query: async (query) => (await dynamodb()).query(query),
  write: async (operations) => (await dynamodb()).write(operations),
}

const bucket: BucketPlace = {
  bucket: environment.AIDEPLOY_BUCKET,
  region: environment.AWS_REGION,
  endpoint: environment.AWS_ENDPOINT_URL_S3,
  credentials: {
    access_key_id: environment.AWS_ACCESS_KEY_ID,
    secret_access_key: environment.AWS_SECRET_ACCESS_KEY,
    session_token: environment.AWS_SESSION_TOKEN,
  },
}
export const readRange: ReadRange = s3Ranges(bucket)
export const putObject = s3Put(bucket)

const callers = once(async (): Promise<CallerParts['identity']> => {
  const { callerIdentity } = await import('../../layers/identity/caller-identity.ts')
  const { AIDEPLOY_USER_POOL_ISSUER: issuer, AIDEPLOY_USER_POOL_JWKS_URI: jwks_uri } = environment
  const pool = {
    user_pool_id: environment.AIDEPLOY_USER_POOL_ID,
    client_id: environment.AIDEPLOY_USER_POOL_CLIENT_ID,
    region: environment.AWS_REGION,
    ...(issuer !== undefined && { issuer }),
    ...(jwks_uri !== undefined && { jwks_uri }),
  }
  return callerIdentity(pool, environment.AIDEPLOY_OIDC_ISSUERS, now)
})

/** Has everything in memory that proving a caller will need, while the model is on its way. */
export const prepareCallers = async (): Promise<void> => {
  await Promise.all([dynamodb(), callers()])
}

export const identity: CallerParts['identity'] = { verify: async (token) => (await callers()).verify(token) }
