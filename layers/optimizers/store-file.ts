import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'

/** Writes what comes to a file; answers its size and the SHA-256 of it. */
export async function storeFile(path: string, body: AsyncIterable<Uint8Array>): Promise<{ size_bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let size_bytes = 0
  const counted = async function* () {
    for await (const piece of body) {
      hash.update(piece)
      size_bytes += piece.byteLength
      yield piece
    }
  }
  await pipeline(counted, createWriteStream(path))
  return { size_bytes, sha256: hash.digest('hex') }
}
