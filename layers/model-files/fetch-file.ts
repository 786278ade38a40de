import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { PlatformError } from '../core/contract/errors.ts'
import { type Limit, limited } from '../core/domain/limited.ts'
import { frontierHash } from './frontier-hash.ts'
import { type ByteRange, rangesOf, retryDelay_ms } from './ranges.ts'

/** Opens part of an object. Errors below 500 are final; anything else may hold when asked again. */
export type ReadRange = (key: string, range: ByteRange, signal: AbortSignal) => Promise<Readable>

export interface FetchOptions {
  read: ReadRange
  /** Ranges under way at once, all files together; default 8. */
  concurrency?: number
  /** Failures in a row, without a byte between them, after which a range is given up; default 6. */
  most_failures?: number
  /** A connection that brings nothing for so long is replaced; default 4 s. */
  stall_ms?: number
  part_bytes?: number
  /** Hears of every range that was asked for again. */
  retried?(key: string, reason: string): void
}

export interface WantedFile {
  key: string
  size_bytes: number
  /** Hexadecimal. */
  sha256: string
}

/**
 * Loads an object into a file by ranges in parallel, each written where it belongs, hashed on the way; nothing but a few pieces is
 * ever in memory. A range whose connection fails, stalls or ends early is asked for again from where it stopped. Fails with
 * `deployment_unavailable` when the bytes are not those that were announced, or cannot be had.
 */
export const fetchFile = async (
  wanted: WantedFile,
  path: string,
  options: FetchOptions,
  limit: Limit = limited(options.concurrency ?? 8),
): Promise<void> => {
  const file = await open(path, 'w+')
  const ended = new AbortController()
  const hash = frontierHash(file)
  const ranges = rangesOf(wanted.size_bytes, options.part_bytes)
  const written = ranges.map(({ start }) => start)
  /** The first position that is missing: the end of the first range that is not whole. */
  const advance = (): void => {
    const at = ranges.findIndex(({ end }, i) => (written[i] ?? 0) <= end)
    hash.advance(at < 0 ? wanted.size_bytes : (written[at] ?? 0))
  }
  try {
    const load = (range: ByteRange, at: number) =>
      limit(() =>
        fetchRange(wanted.key, range, options, ended.signal, async (piece, position) => {
          await file.write(piece, 0, piece.length, position)
          written[at] = position + piece.length
          advance()
        }),
      )
    await Promise.all(ranges.map(load))
    const got = await hash.digest()
    if (got !== wanted.sha256)
      throw new PlatformError('deployment_unavailable', `${wanted.key} has sha256 ${got}, wanted ${wanted.sha256}`, {
        facts: { reason: 'sha256_mismatch' },
      })
  } catch (error) {
    ended.abort()
    throw error
  } finally {
    await file.close()
  }
}

const fetchRange = async (
  key: string,
  range: ByteRange,
  options: FetchOptions,
  ended: AbortSignal,
  write: (piece: Uint8Array, position: number) => Promise<void>,
): Promise<void> => {
  let position = range.start
  let failures = 0
  while (position <= range.end) {
    const before = position
    try {
      for await (const piece of stalling(key, { start: position, end: range.end }, options, ended)) {
        if (position + piece.length > range.end + 1) throw new Error(`${key} brought more than was asked for`)
        await write(piece, position)
        position += piece.length
      }
      if (position <= range.end) throw new Error(`the body ended ${range.end + 1 - position} bytes early`)
    } catch (error) {
      ended.throwIfAborted()
      failures = position > before ? 1 : failures + 1
      await giveUpOrWait(key, error, failures, options)
    }
  }
}

const giveUpOrWait = async (key: string, error: unknown, failures: number, options: FetchOptions): Promise<void> => {
  const reason = error instanceof Error ? error.message : String(error)
  const final = error instanceof PlatformError && error.status < 500
  if (final || failures >= (options.most_failures ?? 6))
    throw new PlatformError('deployment_unavailable', `${key} could not be loaded: ${reason}`, {
      facts: { reason: 'storage_failed' },
      cause: error,
    })
  options.retried?.(key, reason)
  await pause(retryDelay_ms(failures))
}

/** The bytes of a range; fails when none comes for too long. */
async function* stalling(key: string, range: ByteRange, options: FetchOptions, ended: AbortSignal): AsyncGenerator<Uint8Array> {
  const stalled = new AbortController()
  const limit_ms = options.stall_ms ?? 4000
  const timer = setTimeout(() => stalled.abort(new Error(`nothing came for ${limit_ms} ms`)), limit_ms)
  const signal = AbortSignal.any([stalled.signal, ended])
  let body: Readable | undefined
  const stop = (): void => void body?.destroy(new Error(String(signal.reason)))
  try {
    body = await options.read(key, range, signal)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
    for await (const piece of body) {
      if (!(piece instanceof Uint8Array)) throw new Error(`${key} brought no bytes`)
      timer.refresh()
      yield piece
    }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
    body?.destroy()
  }
}
