import * as z from 'zod'
import type { JsonObject } from '../../core/domain/json.ts'

/** What the deployer remembers of a deployment. */
export const LambdaState = z.object({
  /** Without a trailing slash; the same until the deployment goes. */
  endpoint: z.string(),
  function_name: z.string(),
  version: z.string(),
  revision: z.number().int(),
  architecture: z.enum(['arm64', 'x86_64']),
  memory_mb: z.number().int(),
  ephemeral_mb: z.number().int(),
  /** Instances kept warm while active. */
  provisioned: z.number().int(),
  /** Who keeps `max_instances`: Lambda, or the platform's own path where the account cannot reserve. */
  admission: z.enum(['reserved_concurrency', 'platform']),
  /** Bytes of the model in its serving form. */
  serving_bytes: z.number(),
  /** Milliseconds from nothing to a loaded model, as its probe was measured. */
  wake_ms: z.number(),
  runtime_version: z.string(),
  notes: z.array(z.string()),
})
export type LambdaState = z.infer<typeof LambdaState>

/** Undefined before the first revision was up. */
export const stateOf = (deployer_state: JsonObject): LambdaState | undefined => LambdaState.safeParse(deployer_state).data
