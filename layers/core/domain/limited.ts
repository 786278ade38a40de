/** Runs work when there is room for it. */
export type Limit = <Result>(work: () => Promise<Result>) => Promise<Result>

/** At most so many at once, first come first served. */
export const limited = (most: number): Limit => {
  let running = 0
  const waiting: (() => void)[] = []
  return async (work) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}
