import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'

const piece_bytes = 1 << 20

/**
 * SHA-256 of a file while it is being written in several places: it follows the frontier, the first position that is still missing,
 * and reads what lies before it from the page cache. So hashing ends a moment after the last byte arrived.
 */
export const frontierHash = (file: FileHandle) => {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(piece_bytes)
  let hashed = 0
  let frontier = 0
  let running: Promise<void> = Promise.resolve()

  const follow = async (): Promise<void> => {
    while (hashed < frontier) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(piece_bytes, frontier - hashed), hashed)
      if (bytesRead === 0) throw new Error(`The file ends at ${hashed} although ${frontier} bytes were written`)
      hash.update(buffer.subarray(0, bytesRead))
      hashed += bytesRead
    }
  }
  return {
    /** Everything before `position` is in the file. */
    advance: (position: number): void => {
      if (position - hashed < piece_bytes / 2 && position > frontier) {
        frontier = position
        return
      }
      frontier = Math.max(frontier, position)
      running = running.then(follow)
      running.catch(() => undefined)
    },
    /** Hexadecimal, once everything up to the frontier is hashed. */
    digest: async (): Promise<string> => {
      await running
      await follow()
      return hash.digest('hex')
    },
  }
}
