import { describe, expect, it, onTestFinished } from 'vitest'
import { azureMachines, azureRetail } from '../../layers/pricing/azure-retail.ts'
import { gcpCatalog } from '../../layers/pricing/gcp-catalog.ts'
import { snapshotPrices } from '../../layers/pricing/snapshot.ts'
import { startPlainServer } from '../support/price-list.ts'
import { allOf, shortPrices as short } from '../support/price-sources.ts'

const snapshot = snapshotPrices()
const unitOf = (sku: string) => snapshot.tiers(sku)[0]?.unit
const now = () => new Date('2026-11-21T03:17:00Z')

describe('Azure Retail Prices', () => {
  const item = (name: string, retailPrice: number, changes: Record<string, unknown> = {}) => ({
    ...{
      currencyCode: 'USD',
      tierMinimumUnits: 0,
      retailPrice,
      unitPrice: retailPrice,
      armRegionName: 'eastus',
      location: 'US East',
    },
    ...{ effectiveStartDate: '2026-10-01T00:00:00Z', meterName: name, productName: `Virtual Machines ${name}`, skuName: name },
    ...{ serviceName: 'Virtual Machines', unitOfMeasure: '1 Hour', type: 'Consumption', armSkuName: `Standard_${name}` },
    ...changes,
  })
  const start = async (pages: unknown[][], refusals: number[] = [], foreign = false) => {
    const left = [...refusals]
    const server = await startPlainServer((url) => {
      const status = left.shift()
      if (status !== undefined) return { status, body: '{}' }
      const page = Number(url.searchParams.get('$skip') ?? 0)
      const next = foreign ? 'http://203.0.113.7/next' : `${server.origin}/api/retail/prices?$skip=${page + 1}`
      return {
        status: 200,
        body: JSON.stringify({ Items: pages[page], NextPageLink: page + 1 < pages.length ? next : null, Count: 1 }),
      }
    })
    onTestFinished(server.stop)
    return { server, source: azureRetail({ now, origin: server.origin, first_wait_ms: 1 }) }
  }

  it('are read over all pages, through 429 and 503, without Windows, spot, other units and other regions', async () => {
    const pages = [
      [item('F2s_v2', 0.085), item('F2s_v2', 0.18, { productName: 'Virtual Machines FSv2 Series Windows' })],
      [item('DS2_v2', 0.146), item('DS2_v2', 0.03, { skuName: 'DS2 v2 Spot' }), item('DS3_v2', 0.3, { armRegionName: 'westus' })],
      [item('F4s_v2', 0.17), item('F4s_v2', 0.07, { skuName: 'F4s v2 Low Priority' }), item('M128', 26)],
    ]
    const { server, source } = await start(pages, [429, 503])
    expect(short(await allOf(source))).toEqual([
      'azure/managed-online-endpoint/DS2_v2/hour 0 0.146',
      'azure/managed-online-endpoint/F2s_v2/hour 0 0.085',
      'azure/managed-online-endpoint/F4s_v2/hour 0 0.17',
    ])
    expect(server.asked()).toBe(5)
    expect(azureMachines.filter(({ sku }) => unitOf(sku) !== 'hour')).toEqual([])
  })

  it('fail when the service refuses, stays busy, or sends on to another place', async () => {
    await expect(allOf((await start([[]], [403])).source)).rejects.toMatchObject({ code: 'unavailable' })
    await expect(allOf((await start([[]], [429, 429, 429, 429])).source)).rejects.toThrow(/429 4 times/)
    await expect(allOf((await start([[item('F2s_v2', 1)], []], [], true)).source)).rejects.toThrow(/203\.0\.113\.7/)
  })
})

describe('Google Cloud Billing Catalog', () => {
  const sku = (description: string, nanos: number, changes: Record<string, unknown> = {}) => ({
    name: 'services/C7E2-9256-1C43/skus/0000-1111-2222',
    skuId: '0000-1111-2222',
    description: `Vertex AI: Online/Batch Prediction ${description} running in Iowa`,
    category: { serviceDisplayName: 'Vertex AI', resourceFamily: 'ApplicationServices', usageType: 'OnDemand' },
    serviceRegions: ['us-central1'],
    pricingInfo: [
      {
        effectiveTime: '2026-10-01T00:00:00Z',
        pricingExpression: {
          usageUnit: 'h',
          tieredRates: [{ startUsageAmount: 0, unitPrice: { currencyCode: 'USD', units: '0', nanos } }],
        },
      },
    ],
    ...changes,
  })
  const n1 = [sku('N1 Predefined Instance Core', 36_400_000), sku('N1 Predefined Instance Ram', 4_900_000)]
  const e2 = [sku('E2 Instance Core', 25_000_000), sku('E2 Instance Ram', 3_300_000)]
  const start = async (pages: unknown[][], status = 200) => {
    const server = await startPlainServer((url) => {
      const page = Number(url.searchParams.get('pageToken') ?? 0)
      const nextPageToken = page + 1 < pages.length ? String(page + 1) : ''
      return { status, body: JSON.stringify({ skus: pages[page], nextPageToken }) }
    })
    onTestFinished(server.stop)
    return gcpCatalog({ api_key: 'AIza-secret', now, origin: server.origin })
  }

  it('makes machines of cores, memory and accelerators; what lacks a part or has two prices is left out', async () => {
    const others = [
      sku('N1 Predefined Instance Core', 1, { serviceRegions: ['europe-west1'] }),
      sku('', 5, { description: 'Vertex AI: Training N1 Core running in Iowa' }),
    ]
    const prices = await allOf(await start([n1, [...e2, ...others, sku('E2 Instance Ram', 9_900_000)]]))
    expect(short(prices).filter((text) => text.includes('standard-4'))).toEqual([
      `gcp/vertex-prediction/n1-standard-4/hour 0 ${(4 * 36.4 + 15 * 4.9) / 1000}`,
    ])
    expect(prices.every(({ unit, region }) => unit === 'hour' && region === 'us-central1')).toBe(true)
  })

  it('fails without telling the key', async () => {
    const failed = await allOf(await start([n1], 403)).catch((error: unknown) => error)
    expect(failed).toMatchObject({ code: 'unavailable' })
    expect(String(failed)).not.toContain('AIza')
  })
})
