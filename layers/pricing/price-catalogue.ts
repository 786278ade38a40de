import { Price, type PriceBook, priceBookFrom } from '../core/domain/price.ts'
import { judgePrices } from '../core/domain/price-quarantine.ts'
import type { Log } from '../core/ports/log.ts'
import { HeldPrices, type PriceCatalogue, type RefreshSummary } from '../core/ports/price-catalogue.ts'
import type { PriceSource } from '../core/ports/price-source.ts'
import type { Operation, Records } from '../core/ports/records.ts'
import { type PriceList, putSource, readLists, readPrefix, replaceList } from './price-lists.ts'

const partition = 'price-catalogue'
/** Another process may have refreshed; asking once an hour is enough for prices that change a few times a year. */
const reloadAfter_ms = 3_600_000

const nameOf = ({ sku, region }: Pick<Price, 'sku' | 'region'>): string => `${sku}#${region}`
const heldKey = (name: string) => ({ pk: partition, sk: `held#${name}` })
/** What makes a price another price; when it was read does not. */
const factsOf = ({ sku, region, unit, usd_per_unit, from_quantity }: Price): string =>
  JSON.stringify([sku, region, unit, usd_per_unit, from_quantity])

export interface CatalogueParts {
  records: Records
  log: Log
  now(): Date
  /** Below everything: what has a price from the first start on. */
  base: PriceBook
  sources?: readonly PriceSource[]
}

/**
 * The price list that grows: `base` first, then the last good prices of every source, kept in records and replaced whole. Suspicious
 * prices (`judgePrices`) are held back, and the ones in force stay.
 */
export const priceCatalogue = ({ records, log, now, base, sources = [] }: CatalogueParts): PriceCatalogue => {
  let current: PriceBook = base
  let loaded_at_ms = Number.NEGATIVE_INFINITY
  let loading: Promise<void> | undefined

  const load = async () => {
    current = bookOf(await readLists(records), base)
    loaded_at_ms = now().getTime()
  }
  /** At most hourly; a list that cannot be read leaves the one in force. */
  const loadIfOld = async () => {
    if (now().getTime() - loaded_at_ms < reloadAfter_ms) return
    loading ??= load()
      .catch((error: unknown) => log.warn('prices_not_loaded', { version: current.version, reason: String(error) }))
      .finally(() => {
        loading = undefined
      })
    await loading
  }
  const listOf = async (name: string): Promise<PriceList | undefined> =>
    (await readLists(records)).find((list) => list.state.name === name)

  const refresh = async (source: PriceSource): Promise<RefreshSummary> => {
    await load()
    const before = await listOf(source.name)
    const offered = await pricesOf(source)
    if ('failure' in offered) {
      log.warn('price_source_failed', { source: source.name, reason: offered.failure })
      const failure = { at: now().toISOString(), reason: offered.failure }
      await putSource(records, before, { ...(before?.state ?? emptyState(source.name, base.version)), failure })
      return { accepted: 0, held: 0 }
    }
    const accepted: Price[][] = []
    const held: HeldPrices[] = []
    for (const prices of Map.groupBy(offered.prices, nameOf).values()) {
      const verdict = judgePrices(prices[0] ? current.tiers(prices[0].sku, prices[0].region) : [], prices)
      if (verdict.accept) accepted.push(prices)
      else held.push({ source: source.name, prices, reason: verdict.reason, since: now().toISOString() })
    }
    await settleHeld(accepted, held)
    await putInForce(before, source.name, accepted.flat())
    return { accepted: accepted.length, held: held.length }
  }

  /** What is held again keeps its first date; what was accepted is held no more. */
  const settleHeld = async (accepted: readonly Price[][], held: readonly HeldPrices[]) => {
    const known = new Map((await readPrefix(records, 'held')).map(({ sk, body }) => [sk, HeldPrices.parse(body)]))
    const operations: Operation[] = accepted
      .flatMap(([first]) => (first && known.has(heldKey(nameOf(first)).sk) ? [nameOf(first)] : []))
      .map((name) => ({ remove: heldKey(name), expect: 'any' as const }))
    for (const one of held) {
      const [first] = one.prices
      if (!first) continue
      const { sk } = heldKey(nameOf(first))
      if (!known.has(sk))
        log.warn('price_held_back', { source: one.source, sku: first.sku, region: first.region, reason: one.reason })
      operations.push({ put: { pk: partition, sk, body: { ...one, since: known.get(sk)?.since ?? one.since } }, expect: 'any' })
    }
    for (let at = 0; at < operations.length; at += 20) await records.write(operations.slice(at, at + 20))
  }

  const putInForce = async (before: PriceList | undefined, name: string, accepted: readonly Price[]) => {
    const at = now().toISOString()
    const replaced = new Set(accepted.map(nameOf))
    const kept = (before?.prices ?? []).filter((price) => !replaced.has(nameOf(price)))
    const prices = [...kept, ...accepted]
    const had = new Set(before?.prices.map(factsOf))
    const isSame = before !== undefined && prices.length === had.size && prices.every((price) => had.has(factsOf(price)))
    const state = { name, fetched_at: at, failure: null }
    if (isSame) await putSource(records, before, { ...before.state, ...state })
    else await replaceList(records, before, { ...state, changed_at: at, generation: crypto.randomUUID() }, prices)
    await load()
  }

  const release = async (sku: string, region: string) => {
    const stored = await records.get(heldKey(nameOf({ sku, region })))
    if (!stored) return false
    const { source, prices } = HeldPrices.parse(stored.body)
    const before = await listOf(source)
    const kept = (before?.prices ?? []).filter((price) => nameOf(price) !== nameOf({ sku, region }))
    const state = before?.state ?? emptyState(source, base.version)
    await replaceList(records, before, { ...state, changed_at: now().toISOString(), generation: crypto.randomUUID() }, [
      ...kept,
      ...prices,
    ])
    await records.write([{ remove: heldKey(nameOf({ sku, region })), expect: 'any' }])
    await load()
    return true
  }

  const held = async () => (await readPrefix(records, 'held')).map(({ body }) => HeldPrices.parse(body))

  return {
    book: {
      get version() {
        return current.version
      },
      tiers: (sku, region) => current.tiers(sku, region),
      load: loadIfOld,
    },
    sources,
    load,
    refresh,
    states: async () => {
      const waiting = Map.groupBy(await held(), ({ source }) => source)
      return (await readLists(records)).map(({ state: { name, fetched_at, prices, failure } }) => ({
        ...{ name, fetched_at, prices, failure },
        held: waiting.get(name)?.length ?? 0,
      }))
    },
    held,
    release,
  }
}

const emptyState = (name: string, version: string) => ({
  ...{ name, fetched_at: null, failure: null, prices: 0, parts: 0, generation: version, changed_at: '' },
})

/** The newest list first, then the base; the version names the last change and what lies below. */
const bookOf = (lists: readonly PriceList[], base: PriceBook): PriceBook => {
  const filled = lists.filter(({ prices }) => prices.length > 0)
  if (filled.length === 0) return base
  const newest = filled.toSorted((a, b) => (a.state.changed_at < b.state.changed_at ? 1 : -1))
  const books = newest.map(({ prices }) => priceBookFrom('', prices))
  return {
    version: `catalogue-${newest[0]?.state.changed_at} over ${base.version}`,
    tiers: (sku, region) => {
      // Without a region the base decides which one is meant: a list of another region must not move every figure there.
      const wanted = region ?? base.tiers(sku)[0]?.region
      for (const book of books) {
        const found = book.tiers(sku, wanted)
        if (found.length > 0) return found
      }
      return base.tiers(sku, wanted)
    },
  }
}

/** All prices of a source, or why it failed: half a list would mix two price lists. An empty list is a failure too. */
const pricesOf = async (source: PriceSource): Promise<{ prices: Price[] } | { failure: string }> => {
  try {
    const prices: Price[] = []
    for await (const price of source.prices()) prices.push(Price.parse(price))
    return prices.length > 0 ? { prices } : { failure: 'the list has no price the platform knows' }
  } catch (error) {
    return { failure: String(error) }
  }
}
