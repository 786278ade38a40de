import { PricingClient } from '@aws-sdk/client-pricing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { clientSettings } from '../../layers/aws/client-settings.ts'
import { awsPriceFiles } from '../../layers/pricing/aws-price-files.ts'
import { awsPriceList } from '../../layers/pricing/aws-price-list.ts'
import { awsProducts, awsServices } from '../../layers/pricing/aws-products.ts'
import { jsonMembers } from '../../layers/pricing/json-members.ts'
import { priceCatalogue } from '../../layers/pricing/price-catalogue.ts'
import { snapshotPrices } from '../../layers/pricing/snapshot.ts'
import { type ListedProduct, listed, offerFile, startPlainServer, startPriceListApi } from '../support/price-list.ts'
import { allOf, shortPrices as short } from '../support/price-sources.ts'
import { clockAt, listeningLog, scratchRecords } from '../support/usage.ts'

const snapshot = snapshotPrices()
const unitOf = (sku: string) => snapshot.tiers(sku)[0]?.unit
const now = () => new Date('2026-11-21T03:17:00Z')
const arm = 'aws/lambda/arm64/gb-second'
const services = ['AWSLambda', 'AmazonDynamoDB', 'AmazonSageMaker', 'AWSDataTransfer', 'AmazonS3']

/** What a real list looks like: prefixes, free first tiers, tiers out of order, next month's offer beside today's, thousands of others. */
const catalogue = (): ListedProduct[] => [
  listed('AWSLambda', 'Lambda-GB-Second-ARM', [
    { begin: '18750000000', usd: '0.0000106667' },
    { begin: '0', end: '7500000000', usd: '0.0000133334' },
    { begin: '7500000000', end: '18750000000', usd: '0.0000120001' },
  ]),
  listed('AWSLambda', 'Request', '0.0000002000'),
  listed('AWSLambda', 'Lambda-GB-Second-Edge-Region', '0.00005001'),
  listed(
    'AmazonDynamoDB',
    'USE1-TimedStorage-ByteHrs',
    [
      { begin: '25', usd: '0.2600000000' },
      { begin: '0', end: '25', usd: '0.0000000000' },
    ],
    {
      attributes: { volumeType: 'Amazon DynamoDB - Indexed DataStore' },
    },
  ),
  listed('AmazonDynamoDB', 'TimedStorage-ByteHrs', '0.1000000000', {
    attributes: { volumeType: 'Amazon DynamoDB - Infrequent Access' },
  }),
  listed('AmazonSageMaker', 'USE1-Host:ml.m5.large', '0.1200000000'),
  listed('AmazonSageMaker', 'USE1-Host:ml.zz9.large', '9.0000000000'),
  listed('AmazonSageMaker', 'USE1-Host:ml.m5.large', '0.1500000000', { attributes: { regionCode: 'eu-central-1' } }),
  listed('AmazonSageMaker', 'USE1-ServerlessInf:Mem-2GB', '0.0000400000'),
  listed('AmazonSageMaker', 'USE1-Processing:ml.t3.medium', '0.0500000000'),
  listed(
    'AWSDataTransfer',
    'DataTransfer-Out-Bytes',
    [
      { begin: '153600', usd: '0.0500000000' },
      { begin: '0', end: '100', usd: '0.0000000000' },
      { begin: '100', end: '10240', usd: '0.0900000000' },
      { begin: '10240', end: '51200', usd: '0.0850000000' },
      { begin: '51200', end: '153600', usd: '0.0700000000' },
    ],
    { attributes: { transferType: 'AWS Outbound', fromRegionCode: 'us-east-1' } },
  ),
]

const overApi = async (products: ListedProduct[], log = listeningLog()) => {
  const api = await startPriceListApi(products)
  const client = new PricingClient({
    ...clientSettings,
    endpoint: api.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  })
  onTestFinished(async () => {
    client.destroy()
    await api.stop()
  })
  return { api, log, source: awsPriceList({ client: () => client, now, log, unitOf, services }) }
}

const overFiles = async (products: ListedProduct[], fault?: { service: string; status?: number; cut_at?: number }) => {
  const server = await startPlainServer((url) => {
    const service = url.pathname.split('/')[4] ?? ''
    const broken = fault?.service === service ? fault : undefined
    return { status: broken?.status ?? 200, body: offerFile(service, products), ...(broken?.cut_at && { cut_at: broken.cut_at }) }
  })
  onTestFinished(server.stop)
  const log = listeningLog()
  return { log, source: awsPriceFiles({ now, log, unitOf, services, origin: server.origin }) }
}

const overNewCatalogue = () => {
  const clock = clockAt('2026-11-21T03:00:00Z')
  const log = listeningLog()
  return { clock, log, catalogue: priceCatalogue({ records: scratchRecords(clock.now), log, now: clock.now, base: snapshot }) }
}

describe('the table of AWS products', () => {
  it('names prices of the snapshot, each once, so that units and jumps can be judged', () => {
    const plain = awsProducts.filter(({ sku }) => !sku.includes('*')).map(({ sku }) => sku)
    expect(plain.filter((sku) => unitOf(sku) === undefined)).toEqual([])
    expect(new Set(plain).size).toBe(plain.length)
    expect(awsServices.length).toBeGreaterThanOrEqual(15)
  })
})

describe.each([
  ['the Price List API', async (products: ListedProduct[]) => overApi(products)],
  ['the public price files', async (products: ListedProduct[]) => overFiles(products)],
])('AWS prices over %s', (_, over) => {
  it('are the platform’s own SKUs: tiers in order, free tiers charged, regions and foreign products left out', async () => {
    const { source } = await over(catalogue().filter(({ attributes }) => attributes.regionCode === 'us-east-1'))
    const prices = await allOf(source)
    expect(short(prices)).toEqual(
      [
        `${arm} 0 0.0000133334`,
        `${arm} 7500000000 0.0000120001`,
        `${arm} 18750000000 0.0000106667`,
        'aws/lambda/request 0 2e-7',
        'aws/dynamodb/standard/gb-month 0 0.26',
        'aws/sagemaker/real-time/ml.m5.large/hour 0 0.12',
        'aws/sagemaker/serverless/2gb/second 0 0.00004',
        'aws/sagemaker/processing/ml.t3.medium/hour 0 0.05',
        'aws/data-transfer/out/gb 0 0.09',
        'aws/data-transfer/out/gb 10240 0.085',
        'aws/data-transfer/out/gb 51200 0.07',
        'aws/data-transfer/out/gb 153600 0.05',
      ]
        .map((text) => text.replace(/ ([\d.e-]+)$/, (__, usd) => ` ${Number(usd)}`))
        .sort(),
    )
    for (const price of prices) {
      expect(price.unit).toBe(unitOf(price.sku))
      expect(price).toMatchObject({ region: 'us-east-1', effective_date: '2026-11-01', fetched_at: now().toISOString() })
      expect(price.source).toMatch(/^https?:/)
    }
  })

  it('leave out what two products price differently, and say so', async () => {
    const { source, log } = await over([
      ...catalogue().slice(0, 1),
      listed('AWSLambda', 'Request', '0.0000002'),
      listed('AWSLambda', 'Request', '0.0000003'),
    ])
    expect(short(await allOf(source))).toHaveLength(3)
    expect(log.events).toEqual(['price_ambiguous'])
  })

  it('take the offer in force, not next month’s', async () => {
    const later = { effectiveDate: '2026-12-01T00:00:00Z', usd: '0.0000009' }
    const { source } = await over([listed('AWSLambda', 'Request', '0.0000002', { later })])
    expect(await allOf(source)).toMatchObject([{ usd_per_unit: 2e-7, effective_date: '2026-11-01' }])
  })

  it('keep a jump and a zero out of force, and take the rest', async () => {
    const products = catalogue().filter(({ attributes }) => attributes.regionCode === 'us-east-1')
    const m5 = products.find(({ attributes }) => attributes.usagetype === 'USE1-Host:ml.m5.large')
    const t3 = products.find(({ attributes }) => attributes.usagetype === 'USE1-Processing:ml.t3.medium')
    if (!m5 || !t3) throw new Error('the list has lost its machines')
    m5.tiers = [{ begin: '0', usd: String(0.115 * 40) }]
    t3.tiers = [{ begin: '0', usd: '0.0000000000' }]
    const { source } = await over(products)
    const own = overNewCatalogue()
    expect(await own.catalogue.refresh(source)).toEqual({ accepted: 5, held: 2 })
    expect(own.catalogue.book.tiers('aws/sagemaker/real-time/ml.m5.large/hour')[0]?.usd_per_unit).toBe(0.115)
    expect(own.catalogue.book.tiers('aws/dynamodb/standard/gb-month')[0]?.usd_per_unit).toBe(0.26)
    expect((await own.catalogue.held()).map(({ reason }) => reason.slice(0, 7)).sort()).toEqual(['moved b', 'price 0'])
  })
})

describe('the Price List API', () => {
  it('is asked again when it throttles or fails, page by page', async () => {
    const { api, source } = await overApi(catalogue())
    api.misbehave('GetProducts', 'throttle', 2)
    api.misbehave('GetProducts', 'fail', 1)
    expect(await allOf(source)).toHaveLength(12)
    const asked = api.calls.filter(({ input }) => input.ServiceCode === 'AmazonSageMaker')
    expect(asked.map(({ input }) => typeof input.NextToken)).toEqual(['undefined', 'string'])
  })

  it('changes nothing when a page in mid-list is broken', async () => {
    const { api, source } = await overApi(catalogue())
    const own = overNewCatalogue()
    await own.catalogue.refresh(source)
    const before = own.catalogue.book.version
    const m5 = api.products.find(({ attributes }) => attributes.usagetype === 'USE1-Host:ml.m5.large')
    if (m5) m5.tiers = [{ begin: '0', usd: '0.13' }]
    api.breakPage(3)
    expect(await own.catalogue.refresh(source)).toEqual({ accepted: 0, held: 0 })
    expect(own.log.events).toEqual(['price_source_failed'])
    expect(own.catalogue.book.version).toBe(before)
    expect(own.catalogue.book.tiers('aws/sagemaker/real-time/ml.m5.large/hour')[0]?.usd_per_unit).toBe(0.12)
    expect((await own.catalogue.states())[0]).toMatchObject({
      name: 'aws-price-list',
      failure: { at: own.clock.now().toISOString() },
    })
    api.breakPage(-1)
    await own.catalogue.refresh(source)
    expect(own.catalogue.book.tiers('aws/sagemaker/real-time/ml.m5.large/hour')[0]?.usd_per_unit).toBe(0.13)
  })

  it('is unavailable, not empty, when it is down', async () => {
    const { api, source } = await overApi(catalogue())
    api.misbehave('GetProducts', 'fail', 9)
    await expect(allOf(source)).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('the public price files', () => {
  it.each([
    ['answers 500', { service: 'AmazonSageMaker', status: 500 }],
    ['ends too early', { service: 'AmazonSageMaker', cut_at: 900 }],
  ])('fail as a whole when one %s', async (__, fault) => {
    const { source } = await overFiles(catalogue(), fault)
    await expect(allOf(source)).rejects.toThrow()
  })

  it('are read with constant memory: members pass by, however the bytes are cut', async () => {
    const text = offerFile('AWSLambda', catalogue())
    const pieces = async function* (size: number) {
      const bytes = Buffer.from(text)
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
    }
    const members = async (size: number) => {
      const found: string[] = []
      for await (const { path, text: value } of jsonMembers(
        pieces(size),
        ([first], at = 0) => first === 'products' && at === 0,
      )) {
        found.push(path.join('.'))
        JSON.parse(value)
      }
      return found
    }
    const whole = await members(1e6)
    expect(whole).toEqual(['products'])
    for (const size of [1, 7, 64]) expect(await members(size)).toEqual(whole)
  })
})
