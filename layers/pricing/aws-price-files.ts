import { PlatformError } from '../core/contract/errors.ts'
import type { Log } from '../core/ports/log.ts'
import type { PriceSource } from '../core/ports/price-source.ts'
import { Offer, Product, pricesOfService, skuOf } from './aws-offers.ts'
import { awsServices } from './aws-products.ts'
import { jsonMembers } from './json-members.ts'

interface AwsPriceFilesParts {
  now(): Date
  log: Log
  /** The book's own unit of a SKU; SKUs it does not know are not wanted. */
  unitOf(sku: string): string | undefined
  region?: string
  services?: readonly string[]
  /** Without a trailing slash. */
  origin?: string
  /** Seconds one file may take; SageMaker's has tens of megabytes. */
  limit_s?: number
}

const published = 'https://pricing.us-east-1.amazonaws.com'

/**
 * AWS's public price files: the same list without an account, one file per service and region, read as a stream. Fails as a whole when a
 * file cannot be fetched or ends too early.
 */
export const awsPriceFiles = ({
  now,
  log,
  unitOf,
  region = 'us-east-1',
  services = awsServices,
  origin = published,
  limit_s = 300,
}: AwsPriceFilesParts): PriceSource => ({
  name: 'aws-price-files',
  every_hours: 24,
  async *prices() {
    for (const service of services) {
      const url = `${origin}/offers/v1.0/aws/${service}/current/${region}/index.json`
      const entries = entriesOf(await bytesOf(url, limit_s), service)
      yield* await pricesOfService(entries, service, { region, source: url, fetched_at: now().toISOString(), unitOf, log })
    }
  },
})

const bytesOf = async (url: string, limit_s: number): Promise<AsyncIterable<Uint8Array>> => {
  const response = await fetch(url, { signal: AbortSignal.timeout(limit_s * 1000) }).catch((cause: unknown) => {
    throw new PlatformError('unavailable', `${url} did not answer`, { cause })
  })
  if (!response.ok || !response.body) throw new PlatformError('unavailable', `${url} answered ${response.status}; wanted 200`)
  return response.body
}

const isProduct = (path: readonly string[]): boolean => path.length === 2 && path[0] === 'products'
const isOffer = (path: readonly string[]): boolean => path.length === 4 && path[0] === 'terms' && path[1] === 'OnDemand'

/** Products stand before terms in these files. Only products the table names are kept, until their offers pass by. */
const entriesOf = async function* (
  bytes: AsyncIterable<Uint8Array>,
  service: string,
): AsyncIterable<{ product: Product; offers: Offer[] }> {
  const products = new Map<string, { product: Product; offers: Offer[] }>()
  for await (const { path, text } of jsonMembers(bytes, (at) => isProduct(at) || (isOffer(at) && products.has(at[2] ?? '')))) {
    if (isOffer(path)) products.get(path[2] ?? '')?.offers.push(Offer.parse(JSON.parse(text)))
    else {
      const product = Product.parse(JSON.parse(text))
      if (skuOf(service, product)) products.set(product.sku, { product, offers: [] })
    }
  }
  yield* products.values()
}
