import { type FileHandle, open } from 'node:fs/promises'
import type { ArtifactInfo, PutExpectation } from '../core/ports/artifacts.ts'
import { gauge } from './streaming.ts'

/** What writing needs of a file; replaced to try a full disk. */
export type WritableFile = Pick<FileHandle, 'write' | 'sync' | 'close'>
export type OpenFile = (path: string, flags: string) => Promise<WritableFile>

/** Files of the platform are its own: nobody else on the machine reads models. */
export const openPrivately: OpenFile = (path, flags) => open(path, flags, 0o600)

/** Streams a body into a file from `position` on and makes it durable. Fails as `Artifacts.put` does. */
export const writeBody = async (
  file: WritableFile,
  body: AsyncIterable<Uint8Array>,
  expected?: PutExpectation,
  position = 0,
): Promise<ArtifactInfo> => {
  const measured = gauge(expected)
  let at = position
  for await (const chunk of body) {
    measured.take(chunk)
    await writeAll(file, chunk, at)
    at += chunk.byteLength
  }
  const info = measured.finish()
  await file.sync()
  return info
}

/** A file may take fewer bytes than it was given. */
const writeAll = async (file: WritableFile, chunk: Uint8Array, position: number): Promise<void> => {
  for (let written = 0; written < chunk.byteLength; )
    written += (await file.write(chunk, written, chunk.byteLength - written, position + written)).bytesWritten
}
