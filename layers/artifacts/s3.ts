import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { DeleteObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import type { Artifacts, Compaction } from '../core/ports/artifacts.ts'
import { checkedArtifactKey, checkedPrefix } from './keys.ts'
import { bucketCompaction } from './s3-compact.ts'
import { bucketError } from './s3-errors.ts'
import { putObject } from './s3-put.ts'
import { headObject, readStored } from './s3-stored.ts'
import { bucketUploads } from './s3-uploads.ts'

export interface S3Options {
  bucket: string
  /** Called at the first use, so that a cold start without artifacts pays nothing. */
  client(): S3Client
  now(): Date
  /** Folder for downloaded copies. */
  scratch_dir: string
  /** Above it a copy within the bucket goes in parts; S3's own limit unless a test says less. */
  copy_limit_bytes?: number
}

/** Artifacts as objects of one bucket. Parts of an upload go straight to S3, under addresses signed here. */
export const s3Artifacts = ({ bucket, client, now, scratch_dir, copy_limit_bytes }: S3Options): Artifacts & Compaction => {
  let connected: S3Client | undefined
  const s3 = (): S3Client => {
    connected ??= client()
    return connected
  }
  const read: Artifacts['read'] = async (key, range) => readStored({ s3: s3(), bucket, key: checkedArtifactKey(key) }, range)

  return {
    put: async (key, body, expected) => putObject(s3(), bucket, checkedArtifactKey(key), body, expected),
    read,
    stat: async (key) => {
      const found = await headObject(s3(), bucket, checkedArtifactKey(key))
      return found && { size_bytes: found.size_bytes }
    },
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
    ...bucketCompaction(() => ({ s3: s3(), bucket, ...(copy_limit_bytes !== undefined && { copy_limit_bytes }) })),
    ...bucketUploads(s3, bucket, now),
  }
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
