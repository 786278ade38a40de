import * as z from 'zod'
import { Price, type PriceBook, priceBookFrom } from '../core/domain/price.ts'
import { judgePrices } from '../core/domain/price-quarantine.ts'
import type { Log } from '../core/ports/log.ts'
import type { PriceSource } from '../core/ports/price-source.ts'
import type { Operation, Records } from '../core/ports/records.ts'

const partition = 'price-catalogue'
/** All tiers of one SKU in one region: the unit that is accepted or held back. */
const Entry = z.object({ source: z.string(), prices: z.array(Price).min(1) })
type Entry = z.infer<typeof Entry>
const Held = Entry.extend({ reason: z.string(), since: z.string() })
type Held = z.infer<typeof Held>

const nameOf = (prices: readonly Price[]): string => `${prices[0]?.sku}#${prices[0]?.region}`

export interface PriceCatalogue {
  /** The book in force; its `version` changes with every refresh that changed a price. */
  book: PriceBook
  /** Reads what earlier runs accepted. Call once, before use. */
  load(): Promise<void>
  /** Takes a source's prices; what it no longer lists stays. A source that fails changes nothing. */
  refresh(source: PriceSource): Promise<{ accepted: number; held: number }>
  held(): Promise<Held[]>
  /** Accepts held prices of a SKU after all; false when none are held. */
  release(sku: string, region: string): Promise<boolean>
}

/**
 * The price list that grows: `base` first, then the last good prices of every source, kept in records. Suspicious prices
 * (`judgePrices`) are held back, and the ones in force stay.
 */
export const priceCatalogue = ({
  records,
  log,
  now,
  base,
}: {
  records: Records
  log: Log
  now(): Date
  base: PriceBook
}): PriceCatalogue => {
  const entries = new Map<string, Entry>()
  let current: PriceBook = base

  const rebuild = () => {
    if (entries.size === 0) return
    const own = priceBookFrom(
      '',
      [...entries.values()].flatMap((entry) => entry.prices),
    )
    const newest = [...entries.values()]
      .flatMap((entry) => entry.prices.map((price) => price.fetched_at))
      .sort()
      .at(-1)
    const tiers: PriceBook['tiers'] = (sku, region) => {
      const found = own.tiers(sku, region)
      return found.length > 0 ? found : base.tiers(sku, region)
    }
    current = { version: `catalogue-${newest} over ${base.version}`, tiers }
  }

  const everything = async (prefix: string) => {
    const bodies: unknown[] = []
    let cursor: string | undefined
    do {
      const page = await records.query({
        pk: partition,
        from: `${prefix}#`,
        to: `${prefix}#~`,
        limit: 1000,
        ...(cursor && { cursor }),
      })
      bodies.push(...page.items.map((item) => item.body))
      cursor = page.cursor
    } while (cursor)
    return bodies
  }

  const accept = async (entry: Entry) => {
    const name = nameOf(entry.prices)
    const operations: Operation[] = [
      { put: { pk: partition, sk: `entry#${name}`, body: entry }, expect: 'any' },
      { remove: { pk: partition, sk: `held#${name}` }, expect: 'any' },
    ]
    await records.write(operations)
    entries.set(name, entry)
  }

  const hold = async (entry: Entry, reason: string) => {
    const body: Held = { ...entry, reason, since: now().toISOString() }
    await records.write([{ put: { pk: partition, sk: `held#${nameOf(entry.prices)}`, body }, expect: 'any' }])
    log.warn('price_held_back', { source: entry.source, sku: entry.prices[0]?.sku, region: entry.prices[0]?.region, reason })
  }

  return {
    book: {
      get version() {
        return current.version
      },
      tiers: (sku, region) => current.tiers(sku, region),
    },
    load: async () => {
      for (const body of await everything('entry')) {
        const entry = Entry.parse(body)
        entries.set(nameOf(entry.prices), entry)
      }
      rebuild()
    },
    refresh: async (source) => {
      const offered = await pricesOf(source, log)
      const summary = { accepted: 0, held: 0 }
      for (const prices of Map.groupBy(offered, (price) => nameOf([price])).values()) {
        const [first] = prices
        const verdict = judgePrices(first ? current.tiers(first.sku, first.region) : [], prices)
        if (verdict.accept) await accept({ source: source.name, prices })
        else await hold({ source: source.name, prices }, verdict.reason)
        summary[verdict.accept ? 'accepted' : 'held']++
      }
      rebuild()
      return summary
    },
    held: async () => (await everything('held')).map((body) => Held.parse(body)),
    release: async (sku, region) => {
      const stored = await records.get({ pk: partition, sk: `held#${sku}#${region}` })
      if (!stored) return false
      const { source, prices } = Held.parse(stored.body)
      await accept({ source, prices })
      rebuild()
      return true
    },
  }
}

/** All prices of a source, or none when it fails half-way: half a list would mix two price lists. */
const pricesOf = async (source: PriceSource, log: Log): Promise<Price[]> => {
  try {
    const found: Price[] = []
    for await (const price of source.prices()) found.push(Price.parse(price))
    return found
  } catch (error) {
    log.warn('price_source_failed', { source: source.name, reason: String(error) })
    return []
  }
}
