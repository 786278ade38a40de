import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import type { Price } from '../core/domain/price.ts'
import type { PriceSource } from '../core/ports/price-source.ts'

/** Azure's machine names and the SKUs of the comparison they are the price of. */
export const azureMachines: readonly { armSkuName: string; sku: string }[] = [
  'F2s_v2',
  'DS2_v2',
  'F4s_v2',
  'DS3_v2',
  'F8s_v2',
  'DS4_v2',
  'DS5_v2',
  'NC4as_T4_v3',
].map((name) => ({ armSkuName: `Standard_${name}`, sku: `azure/managed-online-endpoint/${name}/hour` }))

const Item = z.object({
  currencyCode: z.string(),
  tierMinimumUnits: z.number(),
  retailPrice: z.number(),
  armRegionName: z.string(),
  effectiveStartDate: z.string(),
  productName: z.string(),
  skuName: z.string(),
  meterName: z.string(),
  unitOfMeasure: z.string(),
  type: z.string(),
  armSkuName: z.string(),
})
type Item = z.infer<typeof Item>
const Page = z.object({ Items: z.array(Item), NextPageLink: z.string().nullish() })

interface AzureRetailParts {
  now(): Date
  region?: string
  /** Without a trailing slash. */
  origin?: string
  /** Milliseconds before the first repeat after 429 or 5xx; doubles. The service's own `Retry-After` comes first. */
  first_wait_ms?: number
}

const published = 'https://prices.azure.com'
const mostPages = 100
const mostTries = 4
const longestWait_ms = 60_000

/** Azure Retail Prices, no account needed: Linux machines of managed online endpoints, on demand. Fails as a whole. */
export const azureRetail = ({
  now,
  region = 'eastus',
  origin = published,
  first_wait_ms = 2_000,
}: AzureRetailParts): PriceSource => ({
  name: 'azure-retail',
  every_hours: 24,
  async *prices() {
    const names = azureMachines.map(({ armSkuName }) => `armSkuName eq '${armSkuName}'`).join(' or ')
    const filter = `serviceName eq 'Virtual Machines' and armRegionName eq '${region}' and priceType eq 'Consumption' and (${names})`
    let url: string | undefined = `${origin}/api/retail/prices?${new URLSearchParams({ currencyCode: 'USD', $filter: filter })}`
    for (let page = 0; url !== undefined; page++) {
      if (page === mostPages)
        throw new RangeError(`${origin} has more than ${mostPages} pages for ${azureMachines.length} machines`)
      const { Items, NextPageLink } = await pageAt(url, first_wait_ms)
      for (const item of Items) yield* priceOf(item, region, `${origin}/api/retail/prices`, now().toISOString())
      // The link may not lead anywhere else: it is followed with this process's own network access.
      if (NextPageLink && new URL(NextPageLink).origin !== new URL(origin).origin)
        throw new RangeError(`The next page of ${origin} is at ${new URL(NextPageLink).origin}`)
      url = NextPageLink || undefined
    }
  },
})

const pageAt = async (url: string, first_wait_ms: number): Promise<z.infer<typeof Page>> => {
  for (let tries = 1; ; tries++) {
    const response = await fetch(url, { signal: AbortSignal.timeout(30_000) }).catch((cause: unknown) => {
      throw new PlatformError('unavailable', `${new URL(url).origin} did not answer`, { cause })
    })
    if (response.ok) return Page.parse(await response.json())
    await response.body?.cancel()
    if ((response.status !== 429 && response.status < 500) || tries === mostTries)
      throw new PlatformError('unavailable', `${new URL(url).origin} answered ${response.status} ${tries} times; wanted 200`)
    const asked_ms = Number(response.headers.get('retry-after')) * 1000
    await sleep(Math.min(longestWait_ms, asked_ms > 0 ? asked_ms : first_wait_ms * 2 ** (tries - 1)))
  }
}

/** Not what the comparison means: Windows licences, spot and low-priority machines, other currencies and units. */
const priceOf = (item: Item, region: string, source: string, fetched_at: string): Price[] => {
  const machine = azureMachines.find(({ armSkuName }) => armSkuName === item.armSkuName)
  const other = /windows|spot|low priority/i.test(`${item.productName} ${item.skuName} ${item.meterName}`)
  const isPlain = item.currencyCode === 'USD' && item.unitOfMeasure === '1 Hour' && item.type === 'Consumption'
  if (!machine || other || !isPlain || item.armRegionName !== region) return []
  return [
    {
      sku: machine.sku,
      region,
      unit: 'hour',
      usd_per_unit: item.retailPrice,
      from_quantity: item.tierMinimumUnits,
      source,
      effective_date: item.effectiveStartDate.slice(0, 10),
      fetched_at,
    },
  ]
}
