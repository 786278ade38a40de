import { type SearchOptions, type SearchResult, searchModel as search } from '../../layers/optimizers/search.ts'
import { snapshotPrices } from '../../layers/pricing/snapshot.ts'
import { measuredOn } from './measured-on.ts'

/** `import { searchModel } from 'ai-deploy/optimize'`: what the command does, with costs by the price list that ships with it. */

export type { SearchOptions, SearchProgress, SearchResult } from '../../layers/optimizers/search.ts'

export const searchModel = (options: SearchOptions): Promise<SearchResult> => search({ prices: snapshotPrices(), ...options })

/** The page that `--report` writes. */
export const reportOf = async (result: SearchResult): Promise<string> => {
  const { reportPage } = await import('./report/page.ts')
  return reportPage(result, measuredOn())
}
