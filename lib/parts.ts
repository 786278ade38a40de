import type { Code } from 'aws-cdk-lib/aws-lambda'
import type { Network } from './constructs/network.ts'
import type { Data } from './stacks/data.ts'
import type { Stage } from './stage.ts'

/** What every stack after the data stack is made from; each stack gets a `code` of its own, because an asset belongs to one stack. */
export interface Parts {
  readonly stage: Stage
  readonly data: Data
  /** Folder with the bundles. */
  readonly code: Code
  /** Below it lie `runtime/`, `layer-arm64/` and `layer-x64/`. */
  readonly bundles?: string
  /** Where callers reach the API, without a trailing slash. Known once the gateway is. */
  readonly publicUrl?: string
  readonly identity?: Identity
  readonly network?: Network | undefined
}

export interface Identity {
  readonly userPoolId: string
  readonly userPoolClientId: string
  readonly userPoolArn: string
}
