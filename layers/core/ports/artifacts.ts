import type { Readable } from 'node:stream'

/**
 * Named byte sequences: model files, calibration data, reports. Keys are `/`-separated segments of 1–200 of `[A-Za-z0-9._-]`,
 * no `.` or `..` segment, at most 512 characters; anything else is `invalid_request`.
 */
export interface Artifacts {
  /**
   * Streams `body` in; nothing is visible under `key` before all of it is durable, nothing is left behind when it fails.
   * Fails with `payload_too_large` past `max_bytes`, `upload_incomplete` when `sha256` or `size_bytes` differ, `storage_full` on ENOSPC.
   */
  put(key: string, body: AsyncIterable<Uint8Array>, expected?: PutExpectation): Promise<ArtifactInfo>
  /** Fails with `not_found`. `range` is inclusive byte positions. */
  read(key: string, range?: { start: number; end: number }): Promise<Readable>
  stat(key: string): Promise<{ size_bytes: number } | undefined>
  /** Removing what is absent is fine. */
  remove(key: string): Promise<void>
  /** Every key under a prefix. */
  list(prefix: string): Promise<string[]>
  /** The artifact as a file on this machine, read-only; call `release` when done (a downloaded copy is then removed). */
  asFile(key: string): Promise<{ path: string; release(): Promise<void> }>

  /** An upload in parts: the same calls on every implementation. `url`s are absolute, signed, and take the part's bytes by PUT. */
  beginUpload(key: string, size_bytes: number): Promise<UploadPlan>
  /** Joins the parts. Fails with `upload_incomplete` naming the missing or differing part. */
  completeUpload(key: string, upload_id: string, parts: UploadedPart[], expected?: PutExpectation): Promise<ArtifactInfo>
  abortUpload(key: string, upload_id: string): Promise<void>
}

export interface PutExpectation {
  max_bytes?: number
  size_bytes?: number
  /** Hexadecimal. */
  sha256?: string
}

export interface ArtifactInfo {
  size_bytes: number
  sha256: string
}

export interface UploadPlan {
  upload_id: string
  part_size: number
  parts: { number: number; url: string }[]
  /** ISO 8601. */
  expires_at: string
}

export interface UploadedPart {
  number: number
  etag: string
}

/** Only the embedded implementation receives part bodies itself; on AWS the signed URL points at S3. */
export interface PartReceiver {
  /** Verifies the signature of the URL, streams the part to disk, answers its entity tag. */
  receivePart(request: PartRequest, body: AsyncIterable<Uint8Array>): Promise<{ etag: string }>
}

export interface PartRequest {
  upload_id: string
  number: number
  expires: string
  signature: string
}
