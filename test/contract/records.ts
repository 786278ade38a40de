import { afterAll, beforeAll, describe, it } from 'vitest'
import type { Records } from '../../layers/core/ports/records.ts'
import { documentTests } from './records-documents.ts'
import { pageTests } from './records-pages.ts'
import { transactionTests } from './records-transactions.ts'

/** One implementation under test, with a clock that tests move. */
export interface RecordsUnderTest {
  records: Records
  clock: { now: Date }
  close(): Promise<void> | void
}

/** What an implementation (or the emulator it runs on) cannot do. Its tests must fail there: the day they pass, the row goes. */
export interface Difference {
  reason: string
  /** The tests fail by chance, so they are left out, saying why. */
  sometimes?: boolean
  tests: readonly string[]
}

export type RecordsTests = Record<string, (under: RecordsUnderTest) => Promise<void>>

const tests: RecordsTests = { ...documentTests, ...pageTests, ...transactionTests }

/** The contract of the records port. */
export const recordsContract = (
  name: string,
  open: (clock: { now: Date }) => Promise<RecordsUnderTest>,
  differences: readonly Difference[] = [],
): void => {
  const differs = new Map(differences.flatMap((difference) => difference.tests.map((test) => [test, difference] as const)))
  for (const test of differs.keys()) if (!(test in tests)) throw new Error(`No test is called ${test}`)

  describe(`records on ${name}`, () => {
    let under: RecordsUnderTest
    beforeAll(async () => {
      under = await open({ now: new Date('2026-11-20T10:00:00Z') })
    })
    afterAll(() => under?.close())

    for (const [test, run] of Object.entries(tests)) {
      const difference = differs.get(test)
      if (difference?.sometimes) it.skip(`${test} (left out: ${difference.reason})`, () => {})
      else if (difference) it.fails(`${test} (not here: ${difference.reason})`, () => run(under))
      else it(test, () => run(under))
    }
  })
}
