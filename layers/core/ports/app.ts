import type { PriceBook } from '../domain/price.ts'
import type { StoragePolicy } from '../domain/storage-decision.ts'
import type { InferenceSample } from '../domain/usage.ts'
import type { Artifacts, PartReceiver } from './artifacts.ts'
import type { Deployer } from './deployer.ts'
import type { Events } from './events.ts'
import type { Identity } from './identity.ts'
import type { Log } from './log.ts'
import type { Mail } from './mail.ts'
import type { ModelInspector } from './model-inspector.ts'
import type { Optimizer } from './optimizer.ts'
import type { PriceCatalogue } from './price-catalogue.ts'
import type { Records } from './records.ts'
import type { Secrets } from './secrets.ts'
import type { Workbench } from './workbench.ts'
import type { Workflows } from './workflows.ts'

/** Every part of the platform, as the use-cases see it. Made in `compose/`, nowhere else. */
export interface App {
  records: Records
  artifacts: Artifacts & Partial<PartReceiver>
  workflows: Workflows
  inspector: ModelInspector
  identity: Identity
  secrets: Secrets
  mail: Mail
  events: Events
  /** By deployment type. */
  deployers: ReadonlyMap<string, Deployer>
  /** The registered ones; loaded when they are asked for, because few functions ask. */
  optimizers(): Promise<readonly Optimizer[]>
  workbench: Workbench
  prices: PriceBook
  /** Behind `prices`, for those who refresh it. */
  catalogue?: PriceCatalogue
  meter: Meter
  log: Log
  config: AppConfig
  now(): Date
  /** A new id that sorts by time: `<prefix>_<UUIDv7 hex>`. */
  newId(prefix: string): string
}

/** Buffers samples and writes one immutable usage row per flush (a minute or 60 requests). */
export interface Meter {
  record(sample: InferenceSample): void
  /** When the deployment last had a request, in memory first, then from rows; drives hibernation. */
  lastRequestAt(deployment_id: string): Date | undefined
  flush(): Promise<void>
}

export interface AppConfig {
  version: string
  /** The stage's name on AWS, the one dimension of its metrics. */
  stage?: string
  /** Without a trailing slash. */
  public_url: string
  max_upload_bytes: number
  /** Longest time a request waits for a sleeping deployment. */
  wake_wait_ms: number
  /** Where transitions are carried out: in the process that began them unless told; `pipeline` where that may freeze after its reply. */
  drives_in?: 'pipeline'
  /** When files of unused models move to colder storage, and when unused models go; 90 days and never where absent. */
  storage_policy?: StoragePolicy
  /** Origins whose browser applications may read answers; none where absent. The gateway answers their preflight calls. */
  cors_origins?: readonly string[]
  /** Folder for scratch files of this machine. */
  scratch_dir: string
}
