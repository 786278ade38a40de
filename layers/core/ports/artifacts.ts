import type { Readable } from 'node:stream'

/**
 * Named byte sequences: model files, calibration data, reports. Keys are `/`-separated segments of 1–200 of `[A-Za-z0-9._-]`,
 * no `.` or `..` segment, at most 512 characters; anything else is `invalid_request`.
 */
export interface Artifacts extends Partial<Compaction> {
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

/** What a store of artifacts may know besides: to keep what nobody uses in less room. Every store of the platform's own does. */
export interface Compaction {
  /**
   * Keeps it in less room: stored zstd-compressed where that saves 5 % or more, and with `cold` in the colder storage class where there is
   * one. The original goes only after what replaces it was read back, decompressed and found to have its sha256; a crash at any point leaves
   * one or the other. `read` (whole or in part), `stat` and `asFile` stay as they were. Doing it twice is doing it once.
   * Fails with `not_found`, or with `conflict` when the bytes no longer have the `sha256` given: then nothing is touched.
   */
  compact(key: string, options?: { sha256?: string; cold?: boolean }): Promise<CompactInfo>
  /** Stores it as it came, in the usual storage class: for who reads the store itself. Fails with `not_found`. */
  expand(key: string): Promise<CompactInfo>
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

export interface CompactInfo {
  size_bytes: number
  /** What it takes up. */
  stored_bytes: number
  form: 'plain' | 'compressed'
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
