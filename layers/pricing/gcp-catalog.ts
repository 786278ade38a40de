import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import { type Machine, machines } from '../core/domain/comparison.ts'
import type { Price } from '../core/domain/price.ts'
import type { PriceSource } from '../core/ports/price-source.ts'

/** Google prices prediction by the core, the gigabyte of memory and the accelerator; a machine is the sum of its parts. */
const parts = {
  n1Core: /prediction.*\bn1\b.*\bcore\b/i,
  n1Memory: /prediction.*\bn1\b.*\bram\b/i,
  e2Core: /prediction.*\be2\b.*\bcore\b/i,
  e2Memory: /prediction.*\be2\b.*\bram\b/i,
  t4: /prediction.*\bt4\b.*\bgpu\b/i,
} as const
type Part = keyof typeof parts

const Rate = z.object({
  startUsageAmount: z.number().default(0),
  unitPrice: z.object({ currencyCode: z.string(), units: z.string().default('0'), nanos: z.number().default(0) }),
})
const Sku = z.object({
  description: z.string(),
  category: z.object({ usageType: z.string() }),
  serviceRegions: z.array(z.string()),
  pricingInfo: z.array(
    z.object({ effectiveTime: z.string(), pricingExpression: z.object({ usageUnit: z.string(), tieredRates: z.array(Rate) }) }),
  ),
})
type Sku = z.infer<typeof Sku>
const Page = z.object({ skus: z.array(Sku).default([]), nextPageToken: z.string().nullish() })

interface GcpCatalogParts {
  api_key: string
  now(): Date
  region?: string
  /** Without a trailing slash. */
  origin?: string
}

const published = 'https://cloudbilling.googleapis.com'
/** Vertex AI in the catalogue of services. */
const service = 'C7E2-9256-1C43'
const mostPages = 100

interface PartPrice {
  usd: number
  effective_date: string
}

/**
 * Google Cloud Billing Catalog: the machines of Vertex AI prediction that the comparison knows. Needs an API key. A machine of which a
 * part is missing or has two prices is left out and stays at its last good price. Fails as a whole.
 */
export const gcpCatalog = ({ api_key, now, region = 'us-central1', origin = published }: GcpCatalogParts): PriceSource => ({
  name: 'gcp-catalog',
  every_hours: 24,
  async *prices() {
    const found = new Map<Part, PartPrice | 'ambiguous'>()
    for await (const sku of skusOf(origin, api_key)) notePart(found, sku, region)
    const source = `${origin}/v1/services/${service}/skus`
    for (const machine of machines.filter(({ provider }) => provider === 'gcp')) {
      const price = priceOf(machine, found)
      if (price)
        yield {
          ...{ sku: machine.sku, region, unit: 'hour', usd_per_unit: price.usd, from_quantity: 0, source },
          ...{ effective_date: price.effective_date, fetched_at: now().toISOString() },
        } satisfies Price
    }
  },
})

const skusOf = async function* (origin: string, api_key: string): AsyncIterable<Sku> {
  let token: string | undefined
  for (let page = 0; page < mostPages; page++) {
    const query = new URLSearchParams({ currencyCode: 'USD', pageSize: '5000', ...(token && { pageToken: token }) })
    const response = await fetch(`${origin}/v1/services/${service}/skus?${query}`, {
      // In a header: an address ends up in logs.
      headers: { 'x-goog-api-key': api_key },
      signal: AbortSignal.timeout(30_000),
    }).catch((cause: unknown) => {
      throw new PlatformError('unavailable', `${origin} did not answer`, { cause })
    })
    if (!response.ok) throw new PlatformError('unavailable', `${origin} answered ${response.status}; wanted 200`)
    const { skus, nextPageToken } = Page.parse(await response.json())
    yield* skus
    if (!nextPageToken) return
    token = nextPageToken
  }
  throw new RangeError(`${origin} has more than ${mostPages} pages`)
}

const notePart = (found: Map<Part, PartPrice | 'ambiguous'>, sku: Sku, region: string): void => {
  if (sku.category.usageType !== 'OnDemand' || !sku.serviceRegions.includes(region)) return
  const part = (Object.keys(parts) as Part[]).find((name) => parts[name].test(sku.description))
  const info = sku.pricingInfo.at(-1)
  const rate = info?.pricingExpression.tieredRates.at(-1)
  if (part === undefined || info === undefined || rate?.unitPrice.currencyCode !== 'USD') return
  const usd = Number(rate.unitPrice.units) + rate.unitPrice.nanos / 1e9
  const before = found.get(part)
  const isOther = before !== undefined && (before === 'ambiguous' || before.usd !== usd)
  found.set(part, isOther ? 'ambiguous' : { usd, effective_date: info.effectiveTime.slice(0, 10) })
}

const priceOf = (machine: Machine, found: ReadonlyMap<Part, PartPrice | 'ambiguous'>): PartPrice | undefined => {
  const family = machine.name.startsWith('e2') ? 'e2' : 'n1'
  const wanted: [Part, number][] = [
    [`${family}Core`, machine.vcpus],
    [`${family}Memory`, machine.memory_gib],
    ...(machine.gpus > 0 ? ([['t4', machine.gpus]] satisfies [Part, number][]) : []),
  ]
  let usd = 0
  let effective_date = ''
  for (const [part, quantity] of wanted) {
    const price = found.get(part)
    if (price === undefined || price === 'ambiguous') return undefined
    usd += price.usd * quantity
    if (price.effective_date > effective_date) effective_date = price.effective_date
  }
  return { usd: Math.round(usd * 1e9) / 1e9, effective_date }
}
