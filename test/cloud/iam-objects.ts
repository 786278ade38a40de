import type { IamRequest } from '../support/iam-evaluator.ts'
import type { Seen } from './front.ts'

const bucketArn = (bucket: string): string => `arn:aws:s3:::${bucket}`
const secure = { 'aws:SecureTransport': ['true'] }

/**
 * What a request to S3 asks of IAM. An object that is not there takes `s3:ListBucket` as well: without it S3 answers 403 instead of 404
 * (API reference of GetObject and HeadObject).
 */
export const ofS3 = (seen: Seen): IamRequest[] => {
  const [, bucket = '', ...rest] = seen.path.split('/')
  const key = rest.map(decodeURIComponent).join('/')
  const asked = (action: string, resource: string): IamRequest => ({ action: `s3:${action}`, resource, context: secure })
  if (key === '') return ofBucket(seen).map((action) => asked(action, bucketArn(bucket)))
  const object = `${bucketArn(bucket)}/${key}`
  const source = seen.headers['x-amz-copy-source']
  return [
    ...ofObject(seen).map((action) => asked(action, object)),
    ...(typeof source === 'string' ? [asked('GetObject', bucketArn(decodeURIComponent(source).replace(/^\//, '')))] : []),
    ...(seen.status === 404 && /^(GET|HEAD)$/.test(seen.method) ? [asked('ListBucket', bucketArn(bucket))] : []),
  ]
}

const ofBucket = ({ method, query }: Seen): string[] => {
  if (method === 'GET' && query.has('uploads')) return ['ListBucketMultipartUploads']
  if ((method === 'GET' && query.has('list-type')) || method === 'HEAD') return ['ListBucket']
  throw new Error(`The witness does not know ${method} of a bucket with ${query}`)
}

const ofObject = ({ method, query, headers }: Seen): string[] => {
  if (query.has('tagging') || query.has('acl') || query.has('versionId') || query.has('attributes') || headers['x-amz-tagging'])
    throw new Error(`The witness does not know ${method} of an object with ${query}`)
  if (method === 'GET' && query.has('uploadId')) return ['ListMultipartUploadParts']
  if (method === 'GET' || method === 'HEAD') return ['GetObject']
  if (method === 'DELETE') return [query.has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject']
  // Writing on the condition that the object is still the one known takes reading it too.
  if (method === 'PUT') return ['PutObject', ...(headers['if-match'] === undefined ? [] : ['GetObject'])]
  if (method === 'POST' && (query.has('uploads') || query.has('uploadId'))) return ['PutObject']
  throw new Error(`The witness does not know ${method} of an object with ${query}`)
}
