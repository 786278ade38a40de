import { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListPartsCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import * as z from 'zod'
import { isPlatformError, PlatformError } from '../core/contract/errors.ts'
import type { ArtifactInfo, Artifacts, PutExpectation, UploadedPart } from '../core/ports/artifacts.ts'
import { bytesOfPart, checkedArtifactKey, checkedUploadSize, partCount, partSize } from './keys.ts'
import { bucketError, isUnknownUpload, isWrongPart } from './s3-errors.ts'
import { joinParts } from './s3-join.ts'
import { gauge, orderedParts, unknownUpload } from './streaming.ts'

/** Addresses signed with a role's session end with it, so they promise less than the day a disk gives. */
const lifetime_s = 6 * 3600

/** `<size>.<S3's upload id>`: the declared size travels with the id, so nothing else has to remember it. */
const upload_id_form = /^(\d{1,14})\.(.+)$/
interface Upload {
  size_bytes: number
  target: { Bucket: string; Key: string; UploadId: string }
}

const Signable = z.object({
  request: z.object({ headers: z.custom<Record<string, string>>((headers) => typeof headers === 'object') }),
})

type Uploads = Pick<Artifacts, 'beginUpload' | 'completeUpload' | 'abortUpload'>

/** Uploads in parts that callers PUT to S3 themselves. */
export const bucketUploads = (s3: () => S3Client, bucket: string, now: () => Date): Uploads => {
  const uploadOf = (key: string, upload_id: string): Upload => {
    const [, size, UploadId] = upload_id_form.exec(upload_id) ?? []
    if (size === undefined || UploadId === undefined) throw unknownUpload(upload_id)
    return { size_bytes: Number(size), target: { Bucket: bucket, Key: checkedArtifactKey(key), UploadId } }
  }

  return {
    beginUpload: async (key, size_bytes) => {
      const target = { Bucket: bucket, Key: checkedArtifactKey(key) }
      const count = partCount(checkedUploadSize(size_bytes))
      try {
        const { UploadId } = await s3().send(new CreateMultipartUploadCommand(target))
        const urlOf = (PartNumber: number) => signedUrl(s3(), new UploadPartCommand({ ...target, UploadId, PartNumber }))
        const numbers = Array.from({ length: count }, (_, at) => at + 1)
        const parts = await Promise.all(numbers.map(async (number) => ({ number, url: await urlOf(number) })))
        const expires_at = new Date(now().getTime() + lifetime_s * 1000).toISOString()
        return { upload_id: `${size_bytes}.${UploadId}`, part_size: partSize(size_bytes), parts, expires_at }
      } catch (error) {
        throw bucketError(error)
      }
    },

    completeUpload: async (key, upload_id, parts, expected) => {
      const upload = uploadOf(key, upload_id)
      const ordered = orderedParts(parts, partCount(upload.size_bytes))
      try {
        const Parts = ordered.map(({ number, etag }) => ({ PartNumber: number, ETag: `"${etag}"` }))
        await joinParts(s3(), upload.target, Parts)
        return await verified(s3(), upload, expected)
      } catch (error) {
        if (isUnknownUpload(error)) throw unknownUpload(upload_id)
        throw isWrongPart(error) ? await wrongPart(s3(), upload, ordered, error) : bucketError(error)
      }
    },

    abortUpload: async (key, upload_id) => {
      try {
        await s3().send(new AbortMultipartUploadCommand(uploadOf(key, upload_id).target))
      } catch (error) {
        if (!isUnknownUpload(error)) throw bucketError(error)
      }
    },
  }
}

/** The SDK would sign the checksum of an empty body into the address, and S3 then refuses every other body. */
const signedUrl = (s3: S3Client, command: UploadPartCommand): Promise<string> => {
  command.middlewareStack.add(
    (next) => (args) => {
      const { request } = Signable.parse(args)
      for (const name of Object.keys(request.headers))
        if (/^x-amz-(checksum-|sdk-checksum)/.test(name)) delete request.headers[name]
      return next(args)
    },
    { step: 'build', priority: 'low', name: 'withoutChecksumOfNothing' },
  )
  return getSignedUrl(s3, command, { expiresIn: lifetime_s })
}

type Received = Map<number, { etag: string; size_bytes: number }>

const receivedParts = async (s3: S3Client, { target }: Upload): Promise<Received> => {
  const received: Received = new Map()
  let marker: string | undefined
  do {
    const page = await s3.send(new ListPartsCommand({ ...target, ...(marker && { PartNumberMarker: marker }) }))
    for (const { PartNumber = 0, ETag = '', Size = 0 } of page.Parts ?? [])
      received.set(PartNumber, { etag: ETag.replaceAll('"', ''), size_bytes: Size })
    marker = page.IsTruncated ? page.NextPartNumberMarker : undefined
  } while (marker !== undefined)
  return received
}

/** S3 says that a part is wrong, not which one; the list of what it received tells. */
const wrongPart = async (s3: S3Client, upload: Upload, parts: UploadedPart[], cause: unknown): Promise<PlatformError> => {
  const received: Received = await receivedParts(s3, upload).catch(() => new Map())
  const incomplete = (detail: string) => new PlatformError('upload_incomplete', detail, { cause })
  if (received.size === 0) return incomplete('S3 did not accept the parts as named')
  for (const { number, etag } of parts) {
    const found = received.get(number)
    const wanted_bytes = bytesOfPart(upload.size_bytes, number)
    if (!found) return incomplete(`Part ${number} was not received`)
    if (found.etag !== etag) return incomplete(`Part ${number} has entity tag "${found.etag}", the request names "${etag}"`)
    if (found.size_bytes !== wanted_bytes)
      return incomplete(`Part ${number} has ${found.size_bytes} bytes, wanted ${wanted_bytes}`)
  }
  return incomplete('S3 did not accept the parts as named')
}

const most_readings = 3

/**
 * S3's own checksum of an upload in parts is one of parts; the sha256 of the whole takes one reading, begun anew when it is cut off. What
 * differs is removed, and so is what cannot be read: nobody may meet it unverified.
 */
const verified = async (s3: S3Client, { size_bytes, target }: Upload, expected?: PutExpectation): Promise<ArtifactInfo> => {
  const object = { Bucket: target.Bucket, Key: target.Key }
  for (let reading = 1; ; reading += 1) {
    const measured = gauge({ size_bytes, ...expected })
    try {
      const { Body } = await s3.send(new GetObjectCommand(object))
      if (!(Body instanceof Readable)) throw new PlatformError('internal', `S3 answered ${target.Key} without a readable body`)
      for await (const chunk of Body) measured.take(chunk)
      return measured.finish()
    } catch (error) {
      if (reading < most_readings && isPlatformError(bucketError(error), 'unavailable')) continue
      await s3.send(new DeleteObjectCommand(object)).catch(() => undefined)
      throw error
    }
  }
}
