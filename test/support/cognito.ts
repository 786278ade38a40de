import {
  CognitoIdentityProviderClient,
  CreateUserPoolClientCommand,
  type CreateUserPoolClientCommandInput,
  CreateUserPoolCommand,
  type CreateUserPoolCommandInput,
} from '@aws-sdk/client-cognito-identity-provider'
import type { CognitoPool } from '../../layers/identity/cognito-tokens.ts'

const region = 'us-east-1'

export const cognitoClient = (endpoint: string): CognitoIdentityProviderClient =>
  new CognitoIdentityProviderClient({ endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })

/** The pool and client of `lib/stacks/identity.ts`, as far as an emulator heeds them; a test compares the two. */
export const poolProperties = {
  AliasAttributes: ['preferred_username'],
  UsernameConfiguration: { CaseSensitive: false },
  AdminCreateUserConfig: { AllowAdminCreateUserOnly: true },
  Policies: {
    PasswordPolicy: {
      MinimumLength: 10,
      RequireLowercase: false,
      RequireUppercase: false,
      RequireNumbers: false,
      RequireSymbols: false,
    },
  },
  Schema: [
    { Name: 'user_id', AttributeDataType: 'String', Mutable: false },
    { Name: 'organization_id', AttributeDataType: 'String', Mutable: false },
    { Name: 'epoch', AttributeDataType: 'String', Mutable: true },
  ],
} satisfies Partial<CreateUserPoolCommandInput>

export const clientProperties = {
  ClientName: 'platform',
  ExplicitAuthFlows: ['ALLOW_ADMIN_USER_PASSWORD_AUTH', 'ALLOW_REFRESH_TOKEN_AUTH'],
  PreventUserExistenceErrors: 'ENABLED',
  ReadAttributes: ['custom:epoch', 'custom:organization_id', 'custom:user_id', 'preferred_username'],
  WriteAttributes: ['locale'],
} satisfies Partial<CreateUserPoolClientCommandInput>

/** A new pool with its client, and where the emulator shows its keys. */
export const createPool = async (
  client: CognitoIdentityProviderClient,
  endpoint: string,
): Promise<CognitoPool & { jwks_uri: string }> => {
  const { UserPool } = await client.send(new CreateUserPoolCommand({ PoolName: 'aideploy-test', ...poolProperties }))
  const user_pool_id = UserPool?.Id ?? ''
  const { UserPoolClient } = await client.send(new CreateUserPoolClientCommand({ UserPoolId: user_pool_id, ...clientProperties }))
  return {
    user_pool_id,
    client_id: UserPoolClient?.ClientId ?? '',
    region,
    jwks_uri: `${endpoint}/${user_pool_id}/.well-known/jwks.json`,
  }
}
