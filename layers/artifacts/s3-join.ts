import { createHash } from 'node:crypto'
import { CompleteMultipartUploadCommand, type S3Client } from '@aws-sdk/client-s3'
import { isUnknownUpload, wasRepeated } from './s3-errors.ts'
import { headObject } from './s3-stored.ts'

interface Part {
  PartNumber: number
  ETag: string | undefined
}

/**
 * Joins the parts of an upload. S3 forgets an upload once it is joined, so after a lost answer the SDK's repeat may meet no upload: then the
 * object's entity tag tells whether it is made of these parts.
 */
export const joinParts = async (
  s3: S3Client,
  target: { Bucket: string; Key: string; UploadId: string | undefined },
  Parts: Part[],
): Promise<void> => {
  try {
    await s3.send(new CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts } }))
  } catch (error) {
    if (!isUnknownUpload(error) || !wasRepeated(error)) throw error
    const found = await headObject(s3, target.Bucket, target.Key)
    if (found?.etag.replaceAll('"', '') !== joinedTag(Parts)) throw error
  }
}

/** S3's entity tag of an object in parts: the MD5 of the parts' MD5s, and their number. */
const joinedTag = (parts: Part[]): string => {
  const digests = parts.map(({ ETag = '' }) => Buffer.from(ETag.replaceAll('"', ''), 'hex'))
  return `${createHash('md5').update(Buffer.concat(digests)).digest('hex')}-${parts.length}`
}
