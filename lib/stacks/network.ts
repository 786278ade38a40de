import { Fn, Stack, type StackProps } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import { type Network, network } from '../constructs/network.ts'
import type { Stage } from '../stage.ts'

/** The private network of a stage that wants one. */
export class NetworkStack extends Stack {
  readonly network: Network

  constructor(scope: Construct, id: string, { stage, ...props }: StackProps & { stage: Stage }) {
    super(scope, id, props)
    this.network = network(this, stage)
  }

  /** The region's first two, chosen when it is deployed: asking the account at synthesis would want credentials. */
  override get availabilityZones(): string[] {
    return [0, 1].map((at) => Fn.select(at, Fn.getAzs()))
  }
}
