import type { PriceBook } from '../../layers/core/domain/price.ts'
import { resourcesOf } from '../../lib/templates.ts'
import type { Line } from './lines.ts'
import { restCost } from './table.ts'

/** The stages of the table: the smallest, and one with everything that has a price of its own. */
export const stages = {
  dev: { stage: 'dev' },
  'prod, everything on': { stage: 'prod', kmsKey: 'true', vpc: 'true', waf: 'true', dashboard: 'true' },
} as const satisfies Record<string, Record<string, string>>

export const restCosts = (
  prices: PriceBook,
  bundles: string,
  outdir: (name: string) => string,
): { name: string; lines: Line[] }[] =>
  Object.entries(stages).map(([name, context]) => ({
    name,
    lines: restCost(resourcesOf(context, bundles, outdir(name)), prices),
  }))
