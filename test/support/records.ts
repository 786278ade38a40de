import { randomUUID } from 'node:crypto'
import { type ErrorCode, isPlatformError, type PlatformError } from '../../layers/core/contract/errors.ts'
import type { JsonObject } from '../../layers/core/domain/json.ts'
import type { Expect, Key, Operation, Page, Query, Records } from '../../layers/core/ports/records.ts'

/** A partition nobody else uses, so that suites share one store. */
export const freshPartition = (): string => `test#${randomUUID()}`

type PutExtras = { lookup?: Key; worklist?: Key; expires_at?: number }

export const put = (key: Key, body: JsonObject, extras: PutExtras = {}, expect: Expect = 'any'): Operation => ({
  put: { ...key, body, ...extras },
  expect,
})

/** One document per sort key. */
export const seed = async (
  records: Records,
  pk: string,
  keys: readonly string[],
  extras: (sk: string) => PutExtras = () => ({}),
): Promise<void> => {
  for (const sk of keys) await records.write([put({ pk, sk }, { sk }, extras(sk))])
}

export const sortKeys = (page: Page): string[] => page.items.map((item) => item.sk)

/** Every page of a query, following cursors; gives up after 1,000. */
export const allPages = async (records: Records, query: Query): Promise<Page[]> => {
  const pages: Page[] = []
  let cursor: string | undefined
  do {
    const page = await records.query(cursor === undefined ? query : { ...query, cursor })
    pages.push(page)
    cursor = page.cursor
    if (pages.length > 1000) throw new Error('the cursor does not end')
  } while (cursor !== undefined)
  return pages
}

/** The PlatformError a promise fails with; anything else fails the test. */
export const failure = async (code: ErrorCode, promise: Promise<unknown>): Promise<PlatformError> => {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('error' in outcome && isPlatformError(outcome.error, code)) return outcome.error
  throw new Error(
    `wanted ${code}, got ${'error' in outcome ? String(outcome.error) : `the answer ${JSON.stringify(outcome.value)}`}`,
  )
}
