import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import * as z from 'zod'
import type { Deployment } from '../../layers/core/domain/deployment.ts'
import type { DeployTarget } from '../../layers/core/ports/deployer.ts'
import type { LambdaParts } from '../../layers/deployers/lambda/parts.ts'
import { type LambdaBench, lambdaBench, layer, remembered, runtimeCode } from './lambda-bench.ts'
import { emptyState, type FunctionAlias } from './lambda-cloud/state.ts'
import { type LambdaCloud, startLambdaCloud } from './lambda-cloud.ts'
import { echoFunction } from './model-function.ts'

export const name = 'aideploy-test-m-dep_1'
/** What the echo function answers. */
export const Said = z.object({ revision: z.number(), path: z.string(), body: z.string(), by: z.string() })

export const scaling = (min_instances: number, max_instances: number): Partial<Deployment> => ({
  scaling_policy: { min_instances, max_instances, target_cpu_utilization: 95 },
})

export interface LambdaStage {
  cloud: LambdaCloud
  bench: LambdaBench
  /** Revisions that cannot load their model. */
  broken: Set<number>
  open(changes?: Partial<LambdaParts>): LambdaBench
  /** The alias of `dep_1`. */
  live(): FunctionAlias
  /** Deploys and answers the deployment as it is then. */
  up(changes?: Partial<Deployment>): Promise<DeployTarget>
  /** Everything that is there of any deployment. */
  left(): Promise<Record<string, string[]>>
}

export const nothing = { functions: [], roles: [], groups: [], scalable: [], files: [] }

/** A cloud for a test file, empty before every test, with a deployer in front of it. Call it at the top of the file. */
export const lambdaStage = (): LambdaStage => {
  let cloud: LambdaCloud
  let bench: LambdaBench
  const broken = new Set<number>()
  beforeAll(async () => {
    cloud = await startLambdaCloud({ code: new Set([`${runtimeCode.bucket}/${runtimeCode.key}`]), layers: new Set([layer]) })
  })
  afterAll(() => cloud.stop())
  const open = (changes: Partial<LambdaParts> = {}) => lambdaBench(cloud.endpoint, changes)
  beforeEach(() => {
    broken.clear()
    cloud.state = emptyState()
    cloud.calls.length = 0
    cloud.misfortune = () => undefined
    Object.assign(cloud.options, { concurrency: 1000, most_memory_mb: undefined, run: echoFunction(broken) })
    bench = open()
  })
  afterEach(() => bench.end())
  return {
    get cloud() {
      return cloud
    },
    get bench() {
      return bench
    },
    set bench(other) {
      bench = other
    },
    broken,
    open,
    live: () => {
      const alias = cloud.state.functions.get(name)?.aliases.get('live')
      if (!alias) throw new Error('there is no alias')
      return alias
    },
    up: async (changes = {}) => {
      const target = await bench.target(changes)
      return remembered(target, await bench.deployer.deploy(target))
    },
    left: async () => ({
      functions: [...cloud.state.functions.keys()],
      roles: [...cloud.state.roles.keys()],
      groups: [...cloud.state.logGroups.keys()],
      scalable: [...cloud.state.scalable.keys()],
      files: await bench.artifacts.list('deployments/'),
    }),
  }
}
