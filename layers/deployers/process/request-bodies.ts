import type { Readable } from 'node:stream'
import { PlatformError } from '../../core/contract/errors.ts'

export interface HeldBody {
  pieces: Uint8Array[]
  /** Its bytes may be used for others again; call it when the call is over. */
  release(): void
}

/**
 * Request bodies in memory, all deployments together: each at most `most_bytes`, in all at most `held_bytes`. Without the second bound
 * a few callers with large bodies, whom an open endpoint does not even know, could take all memory of the host.
 * A declared length that is too much is refused before a byte is read.
 */
export const requestBodies = (most_bytes: number, held_bytes: number) => {
  let held = 0
  const hold = (bytes: number): void => {
    if (held + bytes > held_bytes)
      throw new PlatformError('overloaded', `The requests being answered hold ${held} bytes already; at most ${held_bytes} fit`, {
        retry_after_s: 1,
      })
    held += bytes
  }
  return async (body: Uint8Array | Readable, declared_bytes: number): Promise<HeldBody> => {
    let size_bytes = 0
    const take = (piece: unknown): Uint8Array => {
      if (!(piece instanceof Uint8Array)) throw new PlatformError('malformed_body', 'wanted the request body as bytes')
      if (size_bytes + piece.length > most_bytes) throw tooLarge(most_bytes)
      hold(piece.length)
      size_bytes += piece.length
      return piece
    }
    const release = (): void => {
      held -= size_bytes
      size_bytes = 0
    }
    if (declared_bytes > most_bytes) throw tooLarge(most_bytes)
    try {
      if (body instanceof Uint8Array) return { pieces: [take(body)], release }
      const pieces: Uint8Array[] = []
      for await (const piece of body) pieces.push(take(piece))
      return { pieces, release }
    } catch (error) {
      release()
      throw error
    }
  }
}

const tooLarge = (most_bytes: number): PlatformError =>
  new PlatformError('payload_too_large', `wanted at most ${most_bytes} bytes in one inference request`)
