import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type AwsJsonServer, ServiceError, startAwsJsonServer } from './aws-json-server.ts'

/** A tier as the vendor lists it: all texts. */
export interface ListedTier {
  begin: string
  end?: string
  usd: string
}

/** A product in the shape AWS publishes: attributes in front, price dimensions keyed by rate codes that say nothing about their order. */
export interface ListedProduct {
  service: string
  sku: string
  attributes: Record<string, string>
  unit: string
  effectiveDate: string
  tiers: ListedTier[]
  /** A second offer that is listed already but holds from later on. */
  later?: { effectiveDate: string; usd: string }
}

let made = 0
export const listed = (
  service: string,
  usagetype: string,
  usd: string | ListedTier[],
  more: Partial<ListedProduct> & { attributes?: Record<string, string> } = {},
): ListedProduct => ({
  service,
  sku: `SKU${String(++made).padStart(13, '0')}`,
  unit: 'Quantity',
  effectiveDate: '2026-11-01T00:00:00Z',
  tiers: typeof usd === 'string' ? [{ begin: '0', end: 'Inf', usd }] : usd,
  ...more,
  attributes: { servicecode: service, regionCode: 'us-east-1', location: 'US East (N. Virginia)', usagetype, ...more.attributes },
})

const termOf = ({ sku, unit, effectiveDate, tiers }: ListedProduct, code: string) => ({
  [`${sku}.${code}`]: {
    offerTermCode: code,
    sku,
    effectiveDate,
    priceDimensions: Object.fromEntries(
      tiers.map(({ begin, end = 'Inf', usd }, at) => [
        `${sku}.${code}.${String(97 - at)}`,
        {
          rateCode: `${sku}.${code}.${97 - at}`,
          description: `$${usd} "per" unit, {with} [brackets] and a \\ backslash`,
          beginRange: begin,
          endRange: end,
          unit,
          pricePerUnit: { USD: usd },
          appliesTo: [],
        },
      ]),
    ),
    termAttributes: {},
  },
})

const termsOf = (product: ListedProduct) => ({
  ...(product.later &&
    termOf(
      { ...product, effectiveDate: product.later.effectiveDate, tiers: [{ begin: '0', usd: product.later.usd }] },
      'JRTCKXETXE',
    )),
  ...termOf(product, 'JRTCKXETXF'),
})

const entryOf = (product: ListedProduct) => ({
  product: { productFamily: 'Serverless', attributes: product.attributes, sku: product.sku },
  serviceCode: product.service,
  terms: { OnDemand: termsOf(product) },
  version: '20261101000000',
  publicationDate: '2026-11-01T00:00:00Z',
})

const fields: Record<string, string> = { regionCode: 'regionCode', fromRegionCode: 'fromRegionCode' }

/**
 * GetProducts on loopback: filters by service and region, pages by token. `products` may be changed between calls; `broken` answers that page
 * (by number over all calls) with text that is no JSON.
 */
export const startPriceListApi = async (
  products: ListedProduct[],
  { pageSize = 3 }: { pageSize?: number } = {},
): Promise<AwsJsonServer & { products: ListedProduct[]; breakPage(page: number): void }> => {
  let pages = 0
  let broken = -1
  const server = await startAwsJsonServer({
    GetProducts: ({ ServiceCode, Filters, NextToken, FormatVersion, MaxResults }) => {
      if (FormatVersion !== 'aws_v1') throw new ServiceError('InvalidParameterException', `FormatVersion ${FormatVersion}`)
      if (typeof MaxResults !== 'number' || MaxResults < 1 || MaxResults > 100)
        throw new ServiceError('InvalidParameterException', `MaxResults ${MaxResults}`)
      const [filter] = filtersOf(Filters)
      const field = fields[filter?.Field ?? '']
      if (!filter || field === undefined || filter.Type !== 'TERM_MATCH')
        throw new ServiceError('InvalidParameterException', 'Unknown filter')
      const found = products.filter((one) => one.service === ServiceCode && one.attributes[field] === filter.Value)
      const from = typeof NextToken === 'string' ? Number(Buffer.from(NextToken, 'base64url').toString()) : 0
      if (!Number.isInteger(from)) throw new ServiceError('InvalidNextTokenException', 'The token is not one of this list')
      const texts = found.slice(from, from + pageSize).map((one) => JSON.stringify(entryOf(one)))
      if (pages++ === broken && texts.length > 0) texts[texts.length - 1] = '{"product": {'
      return {
        FormatVersion: 'aws_v1',
        PriceList: texts,
        ...(from + pageSize < found.length && { NextToken: Buffer.from(String(from + pageSize)).toString('base64url') }),
      }
    },
  })
  return {
    ...server,
    products,
    breakPage: (page) => {
      pages = 0
      broken = page
    },
  }
}

const filtersOf = (value: unknown): { Type: string; Field: string; Value: string }[] =>
  Array.isArray(value) ? value.map((one) => ({ Type: String(one.Type), Field: String(one.Field), Value: String(one.Value) })) : []

/** The same products as a public file of one service and region, products before terms as AWS writes them. */
export const offerFile = (service: string, products: readonly ListedProduct[]): string => {
  const own = products.filter((one) => one.service === service)
  return JSON.stringify({
    formatVersion: 'v1.0',
    disclaimer: 'This pricing list is for informational purposes only: {"products"} [',
    offerCode: service,
    attributesList: [{ products: { fake: { sku: 'fake' } } }],
    products: Object.fromEntries(own.map((one) => [one.sku, entryOf(one).product])),
    terms: { OnDemand: Object.fromEntries(own.map((one) => [one.sku, termsOf(one)])), Reserved: {} },
  })
}

/** Plain HTTP on loopback: answers by path and how often it was asked. */
export const startPlainServer = async (
  answer: (url: URL, asked: number) => { status: number; body: string; headers?: Record<string, string>; cut_at?: number },
) => {
  let asked = 0
  const server = createServer((request, response) => {
    const { status, body, headers, cut_at } = answer(new URL(request.url ?? '/', 'http://127.0.0.1'), asked++)
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    if (cut_at === undefined) response.end(body)
    else response.write(body.slice(0, cut_at), () => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    asked: () => asked,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
