import * as z from 'zod'
import { isPlatformError } from '../core/contract/errors.ts'
import { Price } from '../core/domain/price.ts'
import { PriceSourceState } from '../core/ports/price-catalogue.ts'
import type { Operation, Records, Stored } from '../core/ports/records.ts'

const partition = 'price-catalogue'
/** A price is below 500 bytes; a document holds 350 kB. */
const pricesPerPart = 400
const perWrite = 20

/** One source's list in force: its parts carry the generation's name, so that a list is replaced whole by one write. */
const StoredSource = PriceSourceState.omit({ held: true }).extend({
  generation: z.string(),
  parts: z.number().int(),
  /** ISO 8601, when a price last changed. */
  changed_at: z.string(),
})
export type StoredSource = z.infer<typeof StoredSource>
const Part = z.object({ prices: z.array(Price) })

export interface PriceList {
  state: StoredSource
  prices: Price[]
  version: string
}

export const sourceKey = (name: string) => ({ pk: partition, sk: `source#${name}` })
const partKey = (name: string, generation: string, part: number) => ({
  pk: partition,
  sk: `list#${name}#${generation}#${String(part).padStart(4, '0')}`,
})

/** Every document whose sort key begins with `prefix#`. */
export const readPrefix = async (records: Records, prefix: string): Promise<Stored[]> => {
  const found: Stored[] = []
  let cursor: string | undefined
  do {
    const page = await records.query({
      pk: partition,
      from: `${prefix}#`,
      to: `${prefix}#~`,
      limit: 1000,
      ...(cursor && { cursor }),
    })
    found.push(...page.items)
    cursor = page.cursor
  } while (cursor)
  return found
}

const readOnce = async (records: Records): Promise<PriceList[] | undefined> => {
  const lists: PriceList[] = []
  for (const stored of await readPrefix(records, 'source')) {
    const state = StoredSource.parse(stored.body)
    const parts = await readPrefix(records, `list#${state.name}#${state.generation}`)
    if (parts.length !== state.parts) return undefined
    lists.push({ state, prices: parts.flatMap((part) => Part.parse(part.body).prices), version: stored.version })
  }
  return lists
}

/** All lists in force. One that is replaced at this moment is read again. */
export const readLists = async (records: Records): Promise<PriceList[]> => {
  for (let tries = 1; tries < 5; tries++) {
    const lists = await readOnce(records)
    if (lists) return lists
  }
  throw new Error('The price lists changed while they were read, five times in a row; wanted one list at rest')
}

/**
 * Puts a list in force: its parts first, under a name of their own, then the one document that names them. A crash in between leaves
 * the old list whole. Fails with `version_conflict` when another run replaced it meanwhile.
 */
export const replaceList = async (
  records: Records,
  before: PriceList | undefined,
  state: Omit<StoredSource, 'parts' | 'prices'>,
  prices: readonly Price[],
): Promise<void> => {
  const { name, generation } = state
  const parts: Operation[] = []
  for (let at = 0; at < prices.length; at += pricesPerPart)
    parts.push({
      put: { ...partKey(name, generation, parts.length), body: { prices: prices.slice(at, at + pricesPerPart) } },
      expect: 'any',
    })
  for (const part of parts) await records.write([part])
  try {
    await putSource(records, before, { ...state, parts: parts.length, prices: prices.length })
  } catch (error) {
    if (isPlatformError(error, 'version_conflict'))
      await forget(records, name, (key) => key.startsWith(`list#${name}#${generation}#`))
    throw error
  }
  await forget(records, name, (key) => !key.startsWith(`list#${name}#${generation}#`))
}

export const putSource = (records: Records, before: PriceList | undefined, body: StoredSource): Promise<string[]> =>
  records.write([{ put: { ...sourceKey(body.name), body }, expect: before ? { version: before.version } : 'absent' }])

const forget = async (records: Records, name: string, which: (key: string) => boolean): Promise<void> => {
  const doomed = (await readPrefix(records, `list#${name}`)).filter(({ sk }) => which(sk))
  for (let at = 0; at < doomed.length; at += perWrite)
    await records.write(doomed.slice(at, at + perWrite).map(({ pk, sk }) => ({ remove: { pk, sk }, expect: 'any' })))
}
