import * as z from 'zod'
import { PlatformError } from '../../core/contract/errors.ts'
import { OidcIssuersText } from '../../identity/oidc-issuer.ts'

/**
 * What `lib/environment.ts` tells a function. Only what its rows need is there, so all but the first are looked at when the part that
 * wants them is made.
 */
const Environment = z.object({
  AIDEPLOY_STAGE: z.string().min(1).default('dev'),
  AIDEPLOY_TABLE: z.string().min(1),
  AIDEPLOY_BUCKET: z.string().min(1),
  AIDEPLOY_PUBLIC_URL: z.url().default('https://aideploy.invalid'),
  AIDEPLOY_ACCOUNT: z.string().optional(),
  AIDEPLOY_PARTITION: z.string().default('aws'),
  AWS_REGION: z.string().default('us-east-1'),
  AIDEPLOY_USER_POOL_ID: z.string().optional(),
  AIDEPLOY_USER_POOL_CLIENT_ID: z.string().optional(),
  /** Where the pool's tokens come from and its keys lie, if not where Cognito keeps them. */
  AIDEPLOY_USER_POOL_ISSUER: z.string().optional(),
  AIDEPLOY_USER_POOL_JWKS_URI: z.string().optional(),
  AIDEPLOY_OIDC_ISSUERS: OidcIssuersText,
  AIDEPLOY_MACHINE_ARN_PREFIX: z.string().optional(),
  AIDEPLOY_EVENT_BUS: z.string().optional(),
  AIDEPLOY_SECRETS_PREFIX: z.string().optional(),
  AIDEPLOY_MAIL_FROM: z.string().optional(),
  AIDEPLOY_ARCHIVE_AFTER_DAYS: z.coerce.number().int().positive().default(90),
  AIDEPLOY_DELETE_AFTER_DAYS: z.coerce.number().int().positive().optional(),
  AIDEPLOY_BOUNDARY_ARN: z.string().optional(),
  AIDEPLOY_RUNTIME_BUCKET: z.string().optional(),
  AIDEPLOY_RUNTIME_KEY: z.string().optional(),
  AIDEPLOY_RUNTIME_VERSION: z.string().optional(),
  AIDEPLOY_RUNTIME_LAYER_ARM64: z.string().optional(),
  AIDEPLOY_RUNTIME_LAYER_X64: z.string().optional(),
  AIDEPLOY_LOG_RETENTION_DAYS: z.coerce.number().int().positive().default(14),
  AIDEPLOY_ROLLOUT_SECONDS: z.coerce.number().int().min(0).max(300).default(60),
  AIDEPLOY_PROCESSING_ROLE_ARN: z.string().optional(),
  AIDEPLOY_PROCESSING_BUCKET: z.string().optional(),
  AIDEPLOY_PROCESSING_KEY: z.string().optional(),
  AIDEPLOY_TRAINING_SPOT: z.enum(['true', 'false']).default('true'),
  AIDEPLOY_CORS_ORIGINS: z
    .string()
    .default('')
    .transform((list) => list.split(',').filter((origin) => origin !== '')),
  AIDEPLOY_DATA_KEY_ARN: z.string().optional(),
})
type Environment = z.infer<typeof Environment>

export const environment = Environment.parse(process.env)

/** A variable that the part just asked for cannot do without. Fails with `port_unavailable` naming it. */
export const wanted = (name: keyof Environment, port: string): string => {
  const value = environment[name]
  if (typeof value === 'string' && value !== '') return value
  throw new PlatformError('port_unavailable', `This function has no ${port}: its environment lacks ${name}`, { facts: { port } })
}
