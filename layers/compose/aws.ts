import manifest from '../../package.json' with { type: 'json' }
import type { App } from '../core/ports/app.ts'
import { usageMeter } from '../core/usecases/meter-usage.ts'
import { azureRetail } from '../pricing/azure-retail.ts'
import { priceCatalogue } from '../pricing/price-catalogue.ts'
import { snapshotPrices } from '../pricing/snapshot.ts'
import { inspector, workbench } from './aws/compute.ts'
import { deployers } from './aws/deployers.ts'
import { environment } from './aws/environment.ts'
import { awsPrices, events, identity, mail, secrets, workflows } from './aws/services.ts'
import { artifacts, now, records } from './aws/stores.ts'
import { newId } from './ids.ts'
import { jsonLog } from './json-log.ts'

/**
 * The platform on AWS. Adapters and their SDK clients are imported at the first use of a port, and a port whose part this function was
 * not told of fails with `port_unavailable` by name: importing all of them costs more than most requests.
 */

const log = jsonLog()
const snapshot = snapshotPrices()
const unitOf = (sku: string): string | undefined => snapshot.tiers(sku)[0]?.unit
const catalogue = priceCatalogue({ records, log, now, base: snapshot, sources: [awsPrices(log, unitOf), azureRetail({ now })] })
const prices = catalogue.book

export const app: App = {
  records,
  artifacts,
  workflows,
  inspector,
  identity,
  secrets,
  mail,
  events,
  deployers: deployers({ log, prices }),
  optimizers: async () => (await import('../optimizers/index.ts')).optimizers,
  workbench,
  prices,
  catalogue,
  meter: usageMeter({ records, prices, now, log }),
  log,
  config: {
    version: manifest.version,
    stage: environment.AIDEPLOY_STAGE,
    public_url: environment.AIDEPLOY_PUBLIC_URL,
    max_upload_bytes: 5_000_000_000,
    wake_wait_ms: 20_000,
    drives_in: 'pipeline',
    storage_policy: {
      archive_after_days: environment.AIDEPLOY_ARCHIVE_AFTER_DAYS,
      delete_after_days: environment.AIDEPLOY_DELETE_AFTER_DAYS ?? null,
    },
    scratch_dir: '/tmp',
  },
  now,
  newId: (prefix) => newId(prefix, Date.now()),
}
