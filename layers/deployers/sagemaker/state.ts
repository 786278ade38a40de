import * as z from 'zod'
import type { Deployment } from '../../core/domain/deployment.ts'
import { EndpointMode } from './settings.ts'

/** What the deployer remembers of a deployment. The members with a price are those every deployer on AWS uses. */
export const State = z.object({
  endpoint_name: z.string(),
  /** The configuration to come up with; kept while the endpoint is deleted. */
  config_name: z.string(),
  /** While a canary runs: the configuration with its two variants. */
  shifted_config_name: z.string().optional(),
  model_name: z.string(),
  revision: z.number().int(),
  endpoint_mode: EndpointMode,
  memory_mb: z.number().optional(),
  provisioned: z.number().int().optional(),
  instance_type: z.string().optional(),
  instance_count: z.number().optional(),
  components: z.boolean(),
  notes: z.array(z.string()),
})
export type State = z.infer<typeof State>

/** The configuration the endpoint should have now. */
export const configInForce = (state: State, { canary }: Pick<Deployment, 'canary'>): string =>
  canary ? (state.shifted_config_name ?? state.config_name) : state.config_name

/** Undefined before it first came up. */
export const stateOf = ({ deployer_state }: Pick<Deployment, 'deployer_state'>): State | undefined => {
  const parsed = State.safeParse(deployer_state)
  return parsed.success ? parsed.data : undefined
}
