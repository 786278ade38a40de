import { createHmac, hash } from 'node:crypto'

export interface AwsCredentials {
  access_key_id: string
  secret_access_key: string
  session_token?: string | undefined
}

/** SHA-256 of nothing: a GET has no body. */
const empty_sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

interface Place {
  host: string
  /** Encoded already, as it is sent, without a query. */
  path: string
  region: string
}

/** Headers that prove a GET of a part of an object in S3; `range` is a header of that name. */
export const signedGet = (
  { range, ...place }: Place & { range: string },
  credentials: AwsCredentials,
  now: Date,
): Record<string, string> => signed('GET', place, { range }, empty_sha256, credentials, now)

/** Headers that prove a PUT of a whole object whose bytes have this sha256, in hexadecimal. */
export const signedPut = (
  { sha256, ...place }: Place & { sha256: string },
  credentials: AwsCredentials,
  now: Date,
): Record<string, string> => signed('PUT', place, {}, sha256, credentials, now)

/** AWS Signature Version 4, `docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html`. */
const signed = (
  method: string,
  { host, path, region }: Place,
  others: Record<string, string>,
  body_sha256: string,
  { access_key_id, secret_access_key, session_token }: AwsCredentials,
  now: Date,
): Record<string, string> => {
  const time = now.toISOString().replace(/[-:]|\.\d{3}/g, '')
  const date = time.slice(0, 8)
  const scope = `${date}/${region}/s3/aws4_request`
  const headers: Record<string, string> = {
    host,
    ...others,
    'x-amz-content-sha256': body_sha256,
    'x-amz-date': time,
    ...(session_token && { 'x-amz-security-token': session_token }),
  }
  const names = Object.keys(headers).sort()
  const listed = names.map((name) => `${name}:${headers[name]}\n`).join('')
  const canonical = [method, path, '', listed, names.join(';'), body_sha256].join('\n')
  const text = ['AWS4-HMAC-SHA256', time, scope, hash('sha256', canonical, 'hex')].join('\n')
  const key = ['s3', 'aws4_request'].reduce(hmac, hmac(hmac(`AWS4${secret_access_key}`, date), region))
  const signature = hmac(key, text).toString('hex')
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${access_key_id}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}
