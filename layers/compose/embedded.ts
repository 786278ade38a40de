import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { type DiskArtifacts, diskArtifacts } from '../artifacts/disk.ts'
import { pipelines } from '../core/contract/pipelines.ts'
import type { App, AppConfig } from '../core/ports/app.ts'
import type { Step } from '../core/ports/workflows.ts'
import { type UsageMeter, usageMeter } from '../core/usecases/meter-usage.ts'
import { keepRecordedRequests } from '../core/usecases/recorded-requests.ts'
import { deployerRegistry } from '../deployers/index.ts'
import { type ProcessDeployer, processDeployer } from '../deployers/process.ts'
import { type InProcessEvents, inProcessEvents } from '../events/in-process.ts'
import { embeddedIdentity } from '../identity/embedded.ts'
import { withOidc } from '../identity/oidc.ts'
import { onnxInspector } from '../inspector/onnx.ts'
import { outboxMail } from '../mail/outbox.ts'
import { smtpMail } from '../mail/smtp.ts'
import { writeServingForm } from '../onnx/serving-form.ts'
import { optimizers } from '../optimizers/index.ts'
import { localWorkbench } from '../optimizers/workbench.ts'
import { awsPriceFiles } from '../pricing/aws-price-files.ts'
import { azureRetail } from '../pricing/azure-retail.ts'
import { gcpCatalog } from '../pricing/gcp-catalog.ts'
import { priceCatalogue } from '../pricing/price-catalogue.ts'
import { snapshotPrices } from '../pricing/snapshot.ts'
import { type SqliteRecords, sqliteRecords } from '../records/sqlite.ts'
import { fileSecrets } from '../secrets/file.ts'
import { startInstance } from '../serving/instance.ts'
import { inProcessWorkflows } from '../workflows/in-process.ts'
import { loadExtensions } from './extensions.ts'
import { newId } from './ids.ts'
import { jsonLog } from './json-log.ts'
import { readSettings } from './settings.ts'
import { signingKey } from './signing-key.ts'

/** The platform on one machine: every port in this process, everything that must last below `AIDEPLOY_HOME`. */

export const settings = readSettings(process.env)
const home = (...path: string[]): string => join(settings.AIDEPLOY_HOME, ...path)
for (const folder of ['artifacts', 'deployments', 'scratch', 'outbox']) mkdirSync(home(folder), { recursive: true, mode: 0o700 })

const now = (): Date => new Date()
const log = jsonLog()
const extensions = await loadExtensions(settings.AIDEPLOY_EXTENSIONS)
const config: AppConfig = {
  version: manifest.version,
  public_url: settings.AIDEPLOY_PUBLIC_URL ?? `http://${settings.HOST}:${settings.PORT}`,
  max_upload_bytes: settings.AIDEPLOY_MAX_UPLOAD_BYTES,
  wake_wait_ms: settings.AIDEPLOY_WAKE_WAIT_MS,
  scratch_dir: home('scratch'),
  storage_policy: {
    archive_after_days: settings.AIDEPLOY_ARCHIVE_AFTER_DAYS,
    delete_after_days: settings.AIDEPLOY_DELETE_AFTER_DAYS ?? null,
  },
}

const records = sqliteRecords({ path: home('records.sqlite'), now })
const secrets = fileSecrets({ path: home('secrets.json'), key_path: home('secrets.key') })
const artifacts = diskArtifacts({
  root: home('artifacts'),
  now,
  sign_key: await signingKey(secrets),
  public_url: () => config.public_url,
})
const identity = withOidc(
  embeddedIdentity({ records, secrets, now, issuer: settings.AIDEPLOY_PUBLIC_URL ?? 'urn:aideploy:embedded' }),
  { issuers: settings.AIDEPLOY_OIDC_ISSUERS, records, now },
)
const mail = settings.AIDEPLOY_SMTP_URL
  ? smtpMail({ url: settings.AIDEPLOY_SMTP_URL, from: settings.AIDEPLOY_MAIL_FROM })
  : outboxMail({ dir: home('outbox'), from: settings.AIDEPLOY_MAIL_FROM })
const events = inProcessEvents({ records, log, now })
const steps = new Map<string, Step>()
const workflows = inProcessWorkflows({ records, pipelines, steps, log, now })
const snapshot = snapshotPrices()
const unitOf = (sku: string): string | undefined => snapshot.tiers(sku)[0]?.unit
const catalogue = priceCatalogue({
  records,
  log,
  now,
  base: snapshot,
  sources: settings.AIDEPLOY_PRICE_REFRESH
    ? [
        awsPriceFiles({ now, log, unitOf }),
        azureRetail({ now }),
        ...(settings.AIDEPLOY_GCP_API_KEY ? [gcpCatalog({ api_key: settings.AIDEPLOY_GCP_API_KEY, now })] : []),
      ]
    : [],
})
const prices = catalogue.book
await prices.load?.()
const meter = usageMeter({ records, prices, now, log })
const processes = processDeployer({
  artifacts,
  deployments_dir: home('deployments'),
  scratch_dir: config.scratch_dir,
  log,
  writeServingForm,
  startInstance,
  keep_recorded: (name, writer, rows) => keepRecordedRequests({ records, artifacts }, name, writer, rows),
  on_failed: (deployment_id, reason) => host.onDeploymentFailed(deployment_id, reason),
})
/** Candidates of one optimisation follow each other by less; what serves them is worth its memory no longer. */
const KEPT_MS = 3000

const deployers = deployerRegistry([processes], extensions.deployers)
const allOptimizers = [...optimizers, ...extensions.optimizers]

export const app: App = {
  records,
  artifacts,
  workflows,
  inspector: onnxInspector(),
  identity,
  secrets,
  mail,
  events,
  deployers,
  optimizers: async () => allOptimizers,
  workbench: localWorkbench({ artifacts, optimizers: allOptimizers, scratch_dir: config.scratch_dir, keep_ms: KEPT_MS }),
  prices,
  catalogue,
  meter,
  log,
  config,
  now,
  newId: (prefix) => newId(prefix, Date.now()),
}

/** What only the host that owns these parts needs: to start, feed and stop them. */
interface Host {
  config: AppConfig
  records: SqliteRecords
  artifacts: DiskArtifacts
  meter: UsageMeter
  workflows: typeof workflows
  events: InProcessEvents
  processes: ProcessDeployer
  log: typeof log
  steps: Map<string, Step>
  onDeploymentFailed(deployment_id: string, reason: string): void
}

export const host: Host = {
  config,
  records,
  artifacts,
  meter,
  workflows,
  events,
  processes,
  log,
  /** The host puts the pipeline steps here before it calls `workflows.resume()`. */
  steps,
  onDeploymentFailed: () => {},
}
