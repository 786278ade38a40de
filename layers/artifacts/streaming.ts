import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { PlatformError } from '../core/contract/errors.ts'
import type { ArtifactInfo, PutExpectation, UploadedPart } from '../core/ports/artifacts.ts'

/** Counts and hashes what passes; `finish` says what it was or fails with `upload_incomplete`. */
export const gauge = (expected: PutExpectation = {}) => {
  const hash = createHash('sha256')
  let size_bytes = 0
  return {
    take: (chunk: Uint8Array): void => {
      size_bytes += chunk.byteLength
      if (expected.max_bytes !== undefined && size_bytes > expected.max_bytes)
        throw new PlatformError('payload_too_large', `The body is larger than the ${expected.max_bytes} bytes allowed`)
      hash.update(chunk)
    },
    finish: (): ArtifactInfo => {
      const found = { size_bytes, sha256: hash.digest('hex') }
      if (expected.size_bytes !== undefined && size_bytes !== expected.size_bytes)
        throw new PlatformError('upload_incomplete', `Got ${size_bytes} bytes, wanted ${expected.size_bytes}`)
      if (expected.sha256 !== undefined && found.sha256 !== expected.sha256.toLowerCase())
        throw new PlatformError(
          'upload_incomplete',
          `Got bytes with sha256 ${found.sha256}, wanted ${expected.sha256.toLowerCase()}`,
        )
      return found
    },
  }
}

/** Closes a body that is not read to its end: that it was cut off is no fault. Nothing happens to one that ended. */
export const drop = (body: Readable): void => void body.on('error', () => undefined).destroy()

export const unknownUpload = (upload_id: string): PlatformError =>
  new PlatformError('not_found', `Upload ${upload_id.slice(0, 80)} was not found; it was completed, aborted, or has expired`)

export const badRange = (range: { start: number; end: number }, size_bytes: number): PlatformError =>
  new PlatformError('invalid_request', `Range ${range.start}-${range.end} lies outside the ${size_bytes} bytes there are`)

/** The parts in order, tags without quotes; fails with `upload_incomplete` unless every number from 1 to `count` is named once. */
export const orderedParts = (parts: UploadedPart[], count: number): UploadedPart[] => {
  const ordered = parts
    .map(({ number, etag }) => ({ number, etag: etag.replace(/^"|"$/g, '') }))
    .sort((a, b) => a.number - b.number)
  const wrong = ordered.findIndex(({ number }, at) => number !== at + 1)
  if (wrong !== -1 || ordered.length !== count)
    throw new PlatformError(
      'upload_incomplete',
      `The upload has parts 1 to ${count}, part ${(wrong === -1 ? ordered.length : wrong) + 1} is missing, or named twice`,
    )
  return ordered
}
