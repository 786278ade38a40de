export interface CrashLoop {
  /** Notes a crash; true when it was one too many. */
  note(at_ms: number): boolean
}

/** `limit` crashes within `window_ms` are a loop: starting the model again would only repeat it. */
export const crashLoop = (limit: number, window_ms: number): CrashLoop => {
  let crashes: number[] = []
  return {
    note: (at_ms) => {
      crashes = [...crashes.filter((earlier) => at_ms - earlier < window_ms), at_ms]
      return crashes.length >= limit
    },
  }
}
