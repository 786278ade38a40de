import { PlatformError } from '../core/contract/errors.ts'
import type { ArtifactInfo } from '../core/ports/artifacts.ts'
import { gauge } from './streaming.ts'

/** Share of the room that compressing must save to be worth it. */
export const least_saving = 0.05

/** The bytes as they are, counted and hashed as they pass; `info` once all have. */
export const measured = (body: AsyncIterable<Uint8Array>): { bytes: AsyncIterable<Uint8Array>; info(): ArtifactInfo } => {
  const meter = gauge()
  const passed = (async function* () {
    for await (const chunk of body) {
      meter.take(chunk)
      yield chunk
    }
  })()
  return { bytes: passed, info: () => meter.finish() }
}

export const differs = (key: string, found: string, wanted: string): PlatformError =>
  new PlatformError('conflict', `Artifact ${key} has sha256 ${found}, wanted ${wanted}; it is left as it is`)

/** Work on one key at a time; other keys go on. */
export const keyTurns = () => {
  const last = new Map<string, Promise<unknown>>()
  return async <Answer>(key: string, work: () => Promise<Answer>): Promise<Answer> => {
    const mine = (last.get(key) ?? Promise.resolve()).then(work, work)
    const settled = mine.catch(() => undefined)
    last.set(key, settled)
    try {
      return await mine
    } finally {
      if (last.get(key) === settled) last.delete(key)
    }
  }
}
