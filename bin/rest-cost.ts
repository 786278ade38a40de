import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { snapshotPrices } from '../layers/pricing/snapshot.ts'
import { restCosts } from './rest-cost/stages.ts'
import { restCostTable, withTable } from './rest-cost/table.ts'

/**
 * Prints what the idle platform costs a month and rewrites the table in `docs/deploy.md`: synthesises the stages' templates and prices
 * their resources with the platform's own cost engine. `dist/` must be built.
 */
const root = join(import.meta.dirname, '..')
const scratch = mkdtempSync(join(tmpdir(), 'rest-cost-'))
try {
  const prices = snapshotPrices()
  const table = restCostTable(
    restCosts(prices, join(root, 'dist'), (name) => join(scratch, name.replace(/\W+/g, '-'))),
    prices,
  )
  const document = join(root, 'docs', 'deploy.md')
  writeFileSync(document, withTable(readFileSync(document, 'utf8'), table))
  process.stdout.write(`${table}\n`)
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
