import type { PricingClient } from '@aws-sdk/client-pricing'
import { awsFailure } from '../aws/failure.ts'
import type { Log } from '../core/ports/log.ts'
import type { PriceSource } from '../core/ports/price-source.ts'
import { type Offer, PriceListEntry, type Product, pricesOfService } from './aws-offers.ts'
import { awsServices } from './aws-products.ts'

interface AwsPriceListParts {
  /** Endpoint us-east-1, eu-central-1 or ap-south-1; the list is of all regions wherever it is asked. */
  client(): PricingClient
  now(): Date
  /** The book's own unit of a SKU; SKUs it does not know are not wanted. */
  unitOf(sku: string): string | undefined
  log: Log
  regions?: readonly string[]
  services?: readonly string[]
}

const source = 'https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/price-changes.html'
/** More pages than any service's list of one region has: a token that never ends must not read for ever. */
const mostPages = 500

/**
 * AWS Price List API, GetProducts: what `awsProducts` names, per region and service, page by page. Fails as a whole when a page or a
 * product cannot be read; `unavailable` where that passes.
 */
export const awsPriceList = ({
  client,
  now,
  log,
  unitOf,
  regions = ['us-east-1'],
  services = awsServices,
}: AwsPriceListParts): PriceSource => ({
  name: 'aws-price-list',
  every_hours: 24,
  async *prices() {
    for (const region of regions)
      for (const service of services) {
        const facts = { region, source, fetched_at: now().toISOString(), unitOf, log }
        yield* await pricesOfService(entriesOf(client(), service, region), service, facts)
      }
  },
})

/** `regionCode` is the region of what is sold; data transfer has the region it leaves from. */
const regionField = (service: string): string => (service === 'AWSDataTransfer' ? 'fromRegionCode' : 'regionCode')

const entriesOf = async function* (
  client: PricingClient,
  service: string,
  region: string,
): AsyncIterable<{ product: Product; offers: Offer[] }> {
  const { GetProductsCommand } = await import('@aws-sdk/client-pricing')
  let token: string | undefined
  for (let page = 0; page < mostPages; page++) {
    const answer = await client
      .send(
        new GetProductsCommand({
          ServiceCode: service,
          Filters: [{ Type: 'TERM_MATCH', Field: regionField(service), Value: region }],
          FormatVersion: 'aws_v1',
          MaxResults: 100,
          NextToken: token,
        }),
      )
      .catch((error: unknown) => {
        throw awsFailure(error, `Reading the price list of ${service}`)
      })
    for (const text of answer.PriceList ?? []) {
      const { product, terms } = PriceListEntry.parse(JSON.parse(String(text)))
      yield { product, offers: Object.values(terms?.OnDemand ?? {}) }
    }
    token = answer.NextToken
    if (token === undefined) return
  }
  throw new RangeError(`The price list of ${service} has more than ${mostPages} pages`)
}
