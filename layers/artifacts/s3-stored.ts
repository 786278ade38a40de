import { Readable } from 'node:stream'
import { GetObjectCommand, HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import { bucketError, isAbsent } from './s3-errors.ts'
import { badRange, drop } from './streaming.ts'
import { decompressRange, originalSize, readFrames } from './zstd-frames.ts'

/** What an object's metadata say of a compressed artifact; nothing callers send can set them. Plain ones have none of it. */
const Compressed = z.object({
  'aideploy-form': z.literal('zstd-frames'),
  'aideploy-size': z.coerce.number().int().nonnegative(),
  'aideploy-sha256': z.string(),
})
export const compressedMetadata = (info: { size_bytes: number; sha256: string }): Record<string, string> => ({
  'aideploy-form': 'zstd-frames',
  'aideploy-size': String(info.size_bytes),
  'aideploy-sha256': info.sha256,
})

export interface StoredObject {
  etag: string
  stored_bytes: number
  size_bytes: number
  /** Of the original; known of a compressed one. */
  sha256: string | undefined
  form: 'plain' | 'compressed'
  storage_class: string
}

interface Described {
  ETag?: string | undefined
  ContentLength?: number | undefined
  StorageClass?: string | undefined
  Metadata?: Record<string, string> | undefined
}

const describe = ({ ETag = '', ContentLength = 0, StorageClass = 'STANDARD', Metadata }: Described): StoredObject => {
  const facts = Compressed.safeParse(Metadata).data
  return {
    etag: ETag,
    stored_bytes: ContentLength,
    size_bytes: facts?.['aideploy-size'] ?? ContentLength,
    sha256: facts?.['aideploy-sha256'],
    form: facts ? 'compressed' : 'plain',
    storage_class: StorageClass,
  }
}

export const headObject = async (s3: S3Client, bucket: string, key: string): Promise<StoredObject | undefined> => {
  try {
    return describe(await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key })))
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw bucketError(error)
  }
}

interface Place {
  s3: S3Client
  bucket: string
  key: string
}

/** Bytes as they are stored, with what they are: the two come in one answer, so they never belong to different objects. */
const get = async ({ s3, bucket, key }: Place, Range?: string): Promise<{ body: Readable; object: StoredObject }> => {
  try {
    const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key, ...(Range && { Range }) }))
    if (answer.Body instanceof Readable) return { body: answer.Body, object: describe(answer) }
  } catch (error) {
    throw isAbsent(error) ? new PlatformError('not_found', `Artifact ${key} was not found`, { cause: error }) : bucketError(error)
  }
  throw new PlatformError('internal', `S3 answered ${key} without a readable body`)
}

/** The object was replaced, by its other form or another body, between two calls. */
const replaced = Symbol('replaced')
const most_looks = 5

/** The artifact's bytes, whole or a range, in whichever form it is stored; never a mixture of two. */
export const readStored = async (place: Place, range?: { start: number; end: number }): Promise<Readable> => {
  for (let look = 0; look < most_looks; look += 1) {
    const stream = range ? await readRange(place, range) : await readWhole(place)
    if (stream !== replaced) return stream
  }
  throw new PlatformError('unavailable', `Artifact ${place.key} is being replaced; repeat the request`, { retry_after_s: 1 })
}

const readWhole = async (place: Place): Promise<Readable | typeof replaced> => {
  const { body, object } = await get(place)
  if (object.form === 'plain') return body
  drop(body)
  return readCompressed(place, object, { start: 0, end: object.size_bytes - 1 })
}

const readRange = async (place: Place, range: { start: number; end: number }): Promise<Readable | typeof replaced> => {
  const found = await headObject(place.s3, place.bucket, place.key)
  if (!found) throw new PlatformError('not_found', `Artifact ${place.key} was not found`)
  if (range.start < 0 || range.start >= found.size_bytes || range.end < range.start) throw badRange(range, found.size_bytes)
  if (found.form === 'compressed') return readCompressed(place, found, range)
  const { body, object } = await get(place, `bytes=${range.start}-${range.end}`)
  if (object.etag === found.etag) return body
  drop(body)
  return replaced
}

/** Everything that can find the object replaced happens before the first byte is handed out. */
const readCompressed = async (
  place: Place,
  wanted: StoredObject,
  range: { start: number; end: number },
): Promise<Readable | typeof replaced> => {
  let is_replaced = false
  const slice = async (from: number, to: number): Promise<Readable> => {
    const { body, object } = await get(place, `bytes=${from}-${to}`)
    is_replaced ||= object.etag !== wanted.etag
    return body
  }
  const bytesAt = async (position: number, length: number) =>
    Buffer.concat(await (await slice(position, position + length - 1)).toArray())
  const frames = await readFrames(wanted.stored_bytes, bytesAt).catch((error: unknown) => {
    if (is_replaced) return undefined
    throw error
  })
  if (!frames || is_replaced || originalSize(frames) !== wanted.size_bytes) return is_replaced ? replaced : inconsistent(place)
  const touched = frames.filter((frame) => frame.from <= range.end && frame.from + frame.size_bytes > range.start)
  const [first, last] = [touched[0], touched.at(-1)]
  if (!first || !last) return Readable.from([])
  const body = await slice(first.at, last.at + last.length - 1)
  if (is_replaced) {
    drop(body)
    return replaced
  }
  const stream = Readable.from(
    decompressRange(frames, range, async () => body),
    { objectMode: false },
  )
  return stream.once('close', () => drop(body))
}

const inconsistent = ({ key }: Place): never => {
  throw new PlatformError('internal', `Artifact ${key} is damaged: its frames are not those of its metadata`)
}
