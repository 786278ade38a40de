import * as z from 'zod'
import { ModelFunctionEnvironment } from '../../layers/core/contract/model-function.ts'
import { OidcIssuersText } from '../../layers/identity/oidc-issuer.ts'

/** What the deployer and Lambda itself tell this function. Nothing else of it reads the environment. */
const RuntimeEnvironment = ModelFunctionEnvironment.extend({
  AWS_REGION: z.string(),
  /** Of the function's role; Lambda puts them here. */
  AWS_ACCESS_KEY_ID: z.string(),
  AWS_SECRET_ACCESS_KEY: z.string(),
  AWS_SESSION_TOKEN: z.string().optional(),
  AWS_ENDPOINT_URL_S3: z.string().optional(),
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: z.coerce.number().int().positive(),
  /** `on-demand`: somebody waits while this starts. */
  AWS_LAMBDA_INITIALIZATION_TYPE: z.string().default('on-demand'),
  /** Without a pool no token is accepted, only API keys. */
  AIDEPLOY_USER_POOL_ID: z.string().default(''),
  AIDEPLOY_USER_POOL_CLIENT_ID: z.string().default(''),
  /** Where the pool's tokens come from and its keys lie, if not where Cognito keeps them. */
  AIDEPLOY_USER_POOL_ISSUER: z.string().optional(),
  AIDEPLOY_USER_POOL_JWKS_URI: z.string().optional(),
  AIDEPLOY_OIDC_ISSUERS: OidcIssuersText,
})
export type RuntimeEnvironment = z.infer<typeof RuntimeEnvironment>

export const environment: RuntimeEnvironment = RuntimeEnvironment.parse(process.env)
