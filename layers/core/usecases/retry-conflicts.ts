import { isPlatformError } from '../contract/errors.ts'

/** Attempts before a conflict is reported: with the waits below about three seconds of losing every race. */
const MAX_ATTEMPTS = 20
const FIRST_WAIT_MS = 2
const LONGEST_WAIT_MS = 400

/**
 * Reads, decides and writes again while somebody else changes the same documents in between. `attempt` must do all three
 * each time it is called. Waits a random time that doubles (full jitter); fails with the last `version_conflict`.
 */
export const retryConflicts = async <Answer>(attempt: () => Promise<Answer>): Promise<Answer> => {
  for (let tried = 1; ; tried += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (!isPlatformError(error, 'version_conflict') || tried >= MAX_ATTEMPTS) throw error
      const wait_ms = Math.random() * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tried)
      await new Promise((resolve) => setTimeout(resolve, wait_ms))
    }
  }
}
