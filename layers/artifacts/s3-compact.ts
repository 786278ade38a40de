import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  type S3Client,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import { PlatformError } from '../core/contract/errors.ts'
import type { ArtifactInfo, CompactInfo, Compaction } from '../core/ports/artifacts.ts'
import { differs, least_saving, measured } from './compacting.ts'
import { checkedArtifactKey } from './keys.ts'
import { bucketError } from './s3-errors.ts'
import { joinParts } from './s3-join.ts'
import { putObject } from './s3-put.ts'
import { compressedMetadata, headObject, readStored, type StoredObject } from './s3-stored.ts'
import { drop } from './streaming.ts'
import { compressFrames, decompressRange, originalSize, readFrames } from './zstd-frames.ts'

/** Milliseconds to the first byte as ever, a sixth of the price, 90 days at least. */
const cold_class = 'GLACIER_IR'
/** CopyObject takes 5 GB at most, but says nothing while it copies; a part answers before anybody takes the connection for dead. */
const copy_limit_bytes = 1024 ** 3
const copied_part_bytes = 512 * 1024 ** 2

interface Bucket {
  s3: S3Client
  bucket: string
  /** Smaller only in tests. */
  copy_limit_bytes?: number
}

/**
 * On S3 the compressed form takes the original's place under the same key, by one call that S3 makes whole or not at all; before it
 * both lie side by side, the new one below `scratch/`, where a rule of the bucket removes what a crash left.
 */
export const bucketCompaction = (open: () => Bucket): Compaction => ({
  compact: async (key, { sha256, cold = false } = {}) => {
    const place = open()
    const found = await existing(place, checkedArtifactKey(key))
    if (found.form === 'compressed') {
      if (cold && found.storage_class !== cold_class) await move(place, key, key, found, cold_class)
      return infoOf(found)
    }
    const aside = `scratch/compacting/${randomUUID()}`
    try {
      const { original, stored_bytes } = await compressAside(place, key, aside)
      if (sha256 !== undefined && original.sha256 !== sha256) throw differs(key, original.sha256, sha256)
      if (stored_bytes > original.size_bytes * (1 - least_saving)) {
        if (cold && original.size_bytes > 0 && found.storage_class !== cold_class) await move(place, key, key, found, cold_class)
        return infoOf(found)
      }
      await verify(place, aside, stored_bytes, original.sha256)
      if ((await existing(place, key)).etag !== found.etag)
        throw new PlatformError('conflict', `Artifact ${key} was replaced while it was compressed; it is left as it is`)
      const replacement = { ...found, ...original, form: 'compressed', stored_bytes } as const
      await move(place, aside, key, replacement, cold ? cold_class : undefined)
      return infoOf(replacement)
    } catch (error) {
      throw bucketError(error)
    } finally {
      await place.s3.send(new DeleteObjectCommand({ Bucket: place.bucket, Key: aside })).catch(() => undefined)
    }
  },
  expand: async (key) => {
    const place = open()
    const found = await existing(place, checkedArtifactKey(key))
    const { size_bytes, sha256 } = found
    const plain: CompactInfo = { size_bytes, stored_bytes: size_bytes, form: 'plain' }
    if (found.form === 'compressed') {
      const body = await readStored({ ...place, key })
      const expected = { size_bytes, ...(sha256 !== undefined && { sha256 }) }
      await putObject(place.s3, place.bucket, key, body, expected).finally(() => drop(body))
    } else if (found.storage_class === cold_class) await move(place, key, key, found, 'STANDARD')
    return plain
  },
})

const infoOf = ({ size_bytes, stored_bytes, form }: StoredObject): CompactInfo => ({ size_bytes, stored_bytes, form })

const existing = async ({ s3, bucket }: Bucket, key: string): Promise<StoredObject> => {
  const found = await headObject(s3, bucket, key)
  if (!found) throw new PlatformError('not_found', `Artifact ${key} was not found`)
  return found
}

const compressAside = async (
  { s3, bucket }: Bucket,
  key: string,
  aside: string,
): Promise<{ original: ArtifactInfo; stored_bytes: number }> => {
  const body = await readStored({ s3, bucket, key })
  try {
    const original = measured(body)
    const { size_bytes } = await putObject(s3, bucket, aside, compressFrames(original.bytes))
    return { original: original.info(), stored_bytes: size_bytes }
  } finally {
    drop(body)
  }
}

/** What was stored is read back and must be what went in. */
const verify = async ({ s3, bucket }: Bucket, aside: string, stored_bytes: number, sha256: string): Promise<void> => {
  const slice = async (from: number, to: number): Promise<Readable> => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: aside, Range: `bytes=${from}-${to}` }))
    if (Body instanceof Readable) return Body
    throw new PlatformError('internal', `S3 answered ${aside} without a readable body`)
  }
  const bytesAt = async (position: number, length: number) =>
    Buffer.concat(await (await slice(position, position + length - 1)).toArray())
  const frames = await readFrames(stored_bytes, bytesAt)
  const back = measured(decompressRange(frames, { start: 0, end: originalSize(frames) - 1 }, slice))
  for await (const _ of back.bytes);
  if (back.info().sha256 !== sha256)
    throw new PlatformError('internal', 'What was compressed did not come back as it went in; the original stays')
}

/** Copies within the bucket, onto itself too: then only class and metadata change. */
const move = async (
  place: Bucket,
  from: string,
  to: string,
  object: StoredObject,
  storage_class?: typeof cold_class | 'STANDARD',
): Promise<void> => {
  const { s3, bucket } = place
  const { size_bytes, sha256 } = object
  const source = `${bucket}/${from}`
  const target = {
    Bucket: bucket,
    Key: to,
    ...(object.form === 'compressed' && sha256 !== undefined && { Metadata: compressedMetadata({ size_bytes, sha256 }) }),
    ...(storage_class && { StorageClass: storage_class }),
  }
  try {
    if (object.stored_bytes > (place.copy_limit_bytes ?? copy_limit_bytes))
      return await moveInParts(s3, source, target, object.stored_bytes)
    await s3.send(new CopyObjectCommand({ ...target, CopySource: source, MetadataDirective: 'REPLACE' }))
  } catch (error) {
    throw bucketError(error)
  }
}

const moveInParts = async (
  s3: S3Client,
  CopySource: string,
  target: { Bucket: string; Key: string; Metadata?: Record<string, string>; StorageClass?: typeof cold_class | 'STANDARD' },
  stored_bytes: number,
): Promise<void> => {
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(target))
  const upload = { Bucket: target.Bucket, Key: target.Key, UploadId }
  try {
    const Parts: { PartNumber: number; ETag: string | undefined }[] = []
    for (let at = 0; at < stored_bytes; at += copied_part_bytes) {
      const PartNumber = Parts.length + 1
      const CopySourceRange = `bytes=${at}-${Math.min(at + copied_part_bytes, stored_bytes) - 1}`
      const { CopyPartResult } = await s3.send(new UploadPartCopyCommand({ ...upload, CopySource, CopySourceRange, PartNumber }))
      Parts.push({ PartNumber, ETag: CopyPartResult?.ETag })
    }
    await joinParts(s3, upload, Parts)
  } catch (error) {
    await s3.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined)
    throw error
  }
}
