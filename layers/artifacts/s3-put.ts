import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { PlatformError } from '../core/contract/errors.ts'
import type { ArtifactInfo, PutExpectation } from '../core/ports/artifacts.ts'
import { bucketError } from './s3-errors.ts'
import { joinParts } from './s3-join.ts'
import { gauge } from './streaming.ts'

const mebibyte = 1024 * 1024
/** One part is in memory at a time. It grows with the object, so that 10,000 parts reach S3's 5 TiB. */
const bytesOfNext = (number: number): number => 8 * mebibyte * 2 ** Math.floor((number - 1) / 1000)

/** Streams a body into an object: one PutObject when it fits into one part, else an upload in parts, aborted when anything fails. */
export const putObject = async (
  s3: S3Client,
  bucket: string,
  key: string,
  body: AsyncIterable<Uint8Array>,
  expected?: PutExpectation,
): Promise<ArtifactInfo> => {
  const measured = gauge(expected)
  const target = { Bucket: bucket, Key: key }
  const parts = inParts(body, measured.take)
  try {
    const first = await parts.next()
    if (first.done) throw new PlatformError('internal', 'A body has at least one part')
    if (first.value.last) {
      const info = measured.finish()
      await s3.send(new PutObjectCommand({ ...target, Body: first.value.bytes }))
      return info
    }
    return await putInParts(s3, target, first.value.bytes, parts, measured.finish)
  } catch (error) {
    await parts.return(undefined)
    throw bucketError(error)
  }
}

const putInParts = async (
  s3: S3Client,
  target: { Bucket: string; Key: string },
  first: Uint8Array,
  rest: AsyncIterable<Part>,
  finish: () => ArtifactInfo,
): Promise<ArtifactInfo> => {
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(target))
  const upload = { ...target, UploadId }
  try {
    const sent: { PartNumber: number; ETag: string | undefined }[] = []
    const send = async (Body: Uint8Array) => {
      const PartNumber = sent.length + 1
      sent.push({ PartNumber, ETag: (await s3.send(new UploadPartCommand({ ...upload, PartNumber, Body }))).ETag })
    }
    await send(first)
    for await (const { bytes } of rest) await send(bytes)
    const info = finish()
    await joinParts(s3, upload, sent)
    return info
  } catch (error) {
    await s3.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined)
    throw error
  }
}

interface Part {
  bytes: Uint8Array
  last: boolean
}

/** Chunks of any size as parts of the size wanted; the last one says so and may be empty. */
async function* inParts(body: AsyncIterable<Uint8Array>, take: (chunk: Uint8Array) => void): AsyncGenerator<Part, undefined> {
  let held: Uint8Array[] = []
  let held_bytes = 0
  let number = 1
  for await (let chunk of body) {
    take(chunk)
    while (held_bytes + chunk.byteLength > bytesOfNext(number)) {
      const room = bytesOfNext(number) - held_bytes
      yield { bytes: Buffer.concat([...held, chunk.subarray(0, room)]), last: false }
      chunk = chunk.subarray(room)
      held = []
      held_bytes = 0
      number += 1
    }
    // A copy: the giver may use its buffer again.
    held.push(Buffer.from(chunk))
    held_bytes += chunk.byteLength
  }
  yield { bytes: Buffer.concat(held), last: true }
}
