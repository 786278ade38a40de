import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

export interface CheckpointPlace {
  /** Where a file of this name lies that is to outlive the process; undefined where nothing may be left. */
  file(name: string): string | undefined
  /** The work is done: nothing is left of it. */
  done(): void
}

/** How often training leaves its state, milliseconds. */
export const CHECKPOINT_MS = 30_000

/**
 * A folder below `checkpoint_dir` for this work alone: another optimizer, other settings or another model (a candidate may be made from
 * another's file) get another one.
 */
export async function checkpointPlace(
  checkpoint_dir: string | undefined,
  work: { optimizer: string; settings: object; model_path: string },
): Promise<CheckpointPlace> {
  if (checkpoint_dir === undefined) return { file: () => undefined, done: () => {} }
  const digest = createHash('sha256').update(JSON.stringify([work.optimizer, work.settings]))
  await pipeline(createReadStream(work.model_path), digest, { end: false })
  const folder = join(checkpoint_dir, `${work.optimizer}-${digest.digest('hex').slice(0, 16)}`)
  mkdirSync(folder, { recursive: true })
  return { file: (name) => join(folder, name), done: () => rmSync(folder, { recursive: true, force: true }) }
}
