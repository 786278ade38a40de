import type { Query, Records, Stored } from '../ports/records.ts'

/** Every document a query finds, page after page. */
export async function* everyStored(records: Pick<Records, 'query'>, query: Omit<Query, 'cursor'>): AsyncGenerator<Stored> {
  let cursor: string | undefined
  do {
    const page = await records.query({ limit: 1000, ...query, ...(cursor !== undefined && { cursor }) })
    yield* page.items
    cursor = page.cursor
  } while (cursor !== undefined)
}
