import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import { PlatformError } from '../core/contract/errors.ts'
import type { Artifacts } from '../core/ports/artifacts.ts'
import { checkedArtifactKey, checkedPrefix } from './keys.ts'
import { bucketError, isAbsent } from './s3-errors.ts'
import { putObject } from './s3-put.ts'
import { bucketUploads } from './s3-uploads.ts'
import { badRange } from './streaming.ts'

export interface S3Options {
  bucket: string
  /** Called at the first use, so that a cold start without artifacts pays nothing. */
  client(): S3Client
  now(): Date
  /** Folder for downloaded copies. */
  scratch_dir: string
}

/** Artifacts as objects of one bucket. Parts of an upload go straight to S3, under addresses signed here. */
export const s3Artifacts = ({ bucket, client, now, scratch_dir }: S3Options): Artifacts => {
  let connected: S3Client | undefined
  const s3 = (): S3Client => {
    connected ??= client()
    return connected
  }
  const stat = async (key: string) => {
    checkedArtifactKey(key)
    try {
      const { ContentLength = 0 } = await s3().send(new HeadObjectCommand({ Bucket: bucket, Key: key }))
      return { size_bytes: ContentLength }
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw bucketError(error)
    }
  }
  const read: Artifacts['read'] = async (key, range) => {
    const found = range && (await stat(key))
    if (found && range && (range.start < 0 || range.start >= found.size_bytes || range.end < range.start))
      throw badRange(range, found.size_bytes)
    return openObject(s3(), bucket, checkedArtifactKey(key), range && `bytes=${range.start}-${range.end}`)
  }

  return {
    put: async (key, body, expected) => putObject(s3(), bucket, checkedArtifactKey(key), body, expected),
    read,
    stat,
    remove: async (key) => {
      await translated(s3().send(new DeleteObjectCommand({ Bucket: bucket, Key: checkedArtifactKey(key) })))
    },
    list: async (prefix) => keysUnder(s3(), bucket, checkedPrefix(prefix)),
    asFile: async (key) => {
      await mkdir(scratch_dir, { recursive: true })
      const path = join(scratch_dir, randomUUID())
      const release = () => rm(path, { force: true })
      try {
        await pipeline(await read(key), createWriteStream(path, { flags: 'wx', mode: 0o600 }))
        return { path, release }
      } catch (error) {
        await release()
        throw bucketError(error)
      }
    },
    ...bucketUploads(s3, bucket, now),
  }
}

const openObject = async (s3: S3Client, bucket: string, key: string, Range: string | undefined): Promise<Readable> => {
  try {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key, ...(Range && { Range }) }))
    if (Body instanceof Readable) return Body
  } catch (error) {
    throw isAbsent(error) ? new PlatformError('not_found', `Artifact ${key} was not found`, { cause: error }) : bucketError(error)
  }
  throw new PlatformError('internal', `S3 answered ${key} without a readable body`)
}

const keysUnder = async (s3: S3Client, bucket: string, prefix: string): Promise<string[]> => {
  const keys: string[] = []
  let token: string | undefined
  do {
    const page = await translated(
      s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ...(token && { ContinuationToken: token }) })),
    )
    keys.push(...(page.Contents ?? []).flatMap(({ Key }) => Key ?? []))
    token = page.NextContinuationToken
  } while (token !== undefined)
  return keys
}

const translated = <Answer>(answer: Promise<Answer>): Promise<Answer> =>
  answer.catch((error) => {
    throw bucketError(error)
  })
