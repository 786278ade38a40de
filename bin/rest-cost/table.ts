import { priceListName } from '../../layers/core/domain/fleet.ts'
import type { PriceBook } from '../../layers/core/domain/price.ts'
import type { Resource } from '../../lib/templates.ts'
import { assumptions } from './assumptions.ts'
import { type Line, line, merged, total } from './lines.ts'
import { isFree, priced } from './resources.ts'

/** What belongs to no single resource of the templates. */
const staged = (prices: PriceBook): Line[] => [
  line(prices, 'S3', 'aws/s3/standard/gb-month', assumptions.staged_bytes / 2 ** 30, 'bundles and layers kept (400 MB)'),
  line(
    prices,
    'CloudWatch',
    'aws/cloudwatch/metric-month',
    assumptions.metric_hours_per_month / 730,
    'age of the price list, one metric for an hour a day',
  ),
]

/** Every line of what the resources cost a month at rest, dearest service first. Fails on a type that nobody judged. */
export const restCost = (resources: readonly Resource[], prices: PriceBook): Line[] => {
  const unknown = [...new Set(resources.map(({ type }) => type))].filter((type) => !(type in priced) && !isFree(type))
  if (unknown.length > 0)
    throw new Error(`Nobody says what ${unknown.join(', ')} cost at rest; add them in bin/rest-cost/resources.ts`)
  const lines = merged([
    ...resources.flatMap((resource) => priced[resource.type]?.(resource, resources, prices) ?? []),
    ...staged(prices),
  ])
  const byService = Map.groupBy(lines, ({ service }) => service)
  return [...byService.values()].sort((a, b) => total(b) - total(a)).flat()
}

const dollars = (usd: number): string => (usd >= 0.0005 ? `$${usd.toFixed(3)}` : '< $0.001')
/** `3 × rule` and `rule` are the same thing in two stages. */
const plain = (what: string): string => what.replace(/^\d+ × /, '')
const times = (what: string): string => what.match(/^\d+(?= × )/)?.[0] ?? '1'

/** The block of `docs/deploy.md`: one row per service and thing, a column per stage. */
export const restCostTable = (stages: readonly { name: string; lines: readonly Line[] }[], prices: PriceBook): string => {
  const keys = [...new Set(stages.flatMap(({ lines }) => lines.map(({ service, what }) => `${service}\n${plain(what)}`)))]
  const rows = keys.map((key) => {
    const [service = '', what = ''] = key.split('\n')
    const cells = stages.map(({ lines }) => {
      const found = lines.find((one) => one.service === service && plain(one.what) === what)
      if (!found) return '–'
      return times(found.what) === '1' ? dollars(found.usd_per_month) : `${dollars(found.usd_per_month)} (${times(found.what)} ×)`
    })
    return `| ${[service, what, ...cells].join(' | ')} |`
  })
  const header = ['Service', 'What', ...stages.map(({ name }) => name)]
  return [
    `| ${header.join(' | ')} |`,
    `|${header.map((_, at) => (at < 2 ? '---' : '---:')).join('|')}|`,
    ...rows,
    `| **Sum** | a month of 730 hours | ${stages.map(({ lines }) => `**$${total(lines).toFixed(2)}**`).join(' | ')} |`,
    '',
    `List prices without free tier, us-east-1, ${priceListName(prices.version)}; computed from the synthesised templates by \`npm run rest-cost\`.`,
    `Assumed where a template does not say: a scheduled run takes ${assumptions.warm_run_ms} ms, ${assumptions.cold_run_ms} ms where the one before it is`,
    `longer than ${assumptions.warm_within_minutes} minutes ago (${longRuns}), ${assumptions.read_units_per_run} read unit and ${assumptions.log_bytes_per_run} bytes of log; Lambda polls a queue with ${assumptions.sqs_pollers} connections`,
    `of ${assumptions.sqs_wait_s} s. Everything else of the platform is charged by use and costs nothing at rest.`,
  ].join('\n')
}

const longRuns = Object.entries(assumptions.long_run_ms)
  .map(([id, ms]) => `${id} ${ms / 1000} s`)
  .join(', ')

export const beginMark = '<!-- rest-cost:begin -->'
export const endMark = '<!-- rest-cost:end -->'

/** The document with its block replaced; fails when the marks are missing or out of order. */
export const withTable = (document: string, table: string): string => {
  const begin = document.indexOf(beginMark)
  const end = document.indexOf(endMark)
  if (begin < 0 || end < begin) throw new Error(`The document has no ${beginMark} … ${endMark}`)
  return `${document.slice(0, begin + beginMark.length)}\n\n${table}\n\n${document.slice(end)}`
}
