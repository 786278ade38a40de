/** One thing that must hold of a deployed platform. */
export interface Check<Facts> {
  id: string
  title: string
  /** Checks whose facts it needs; when one of them did not hold, this one is left out. */
  after?: readonly string[]
  /** Answers what it saw, for the line in the list. Throws when it does not hold; `Skipped` when it cannot be asked here. */
  run(facts: Facts): Promise<string>
}

/** Thrown by a check that this platform cannot be asked, with why; it is no failure. */
export class Skipped extends Error {}

export interface Outcome {
  id: string
  title: string
  result: 'holds' | 'fails' | 'left out'
  seconds: number
  seen: string
}

/** Runs the checks in order; a failure leaves out what depends on it and stops nothing else. */
export const runChecks = async <Facts>(
  checks: readonly Check<Facts>[],
  facts: Facts,
  report: (outcome: Outcome) => void,
): Promise<Outcome[]> => {
  const outcomes = new Map<string, Outcome>()
  for (const check of checks) {
    const missing = (check.after ?? []).filter((id) => outcomes.get(id)?.result !== 'holds')
    const outcome =
      missing.length > 0
        ? { id: check.id, title: check.title, result: 'left out' as const, seconds: 0, seen: `needs ${missing.join(', ')}` }
        : await runOne(check, facts)
    outcomes.set(check.id, outcome)
    report(outcome)
  }
  return [...outcomes.values()]
}

const runOne = async <Facts>(check: Check<Facts>, facts: Facts): Promise<Outcome> => {
  const started = performance.now()
  const outcome = (result: Outcome['result'], seen: string): Outcome => ({
    id: check.id,
    title: check.title,
    result,
    seconds: (performance.now() - started) / 1000,
    seen,
  })
  try {
    return outcome('holds', await check.run(facts))
  } catch (error) {
    const seen = error instanceof Error ? error.message : String(error)
    return outcome(error instanceof Skipped ? 'left out' : 'fails', seen)
  }
}

const marks = { holds: '[x]', fails: '[ ]', 'left out': '[-]' }

/** `[x]    3.2 s  signs in: admin` */
export const line = ({ result, seconds, title, seen }: Outcome): string =>
  `${marks[result]} ${seconds.toFixed(1).padStart(6)} s  ${title}${seen === '' ? '' : `: ${result === 'fails' ? 'FAILED, ' : ''}${seen}`}`
