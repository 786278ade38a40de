import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib'
import {
  AccountRecovery,
  ClientAttributes,
  FeaturePlan,
  Mfa,
  OAuthScope,
  StringAttribute,
  UserPool,
  UserPoolClient,
} from 'aws-cdk-lib/aws-cognito'
import type { Construct } from 'constructs'
import type { Identity } from '../parts.ts'
import type { Stage } from '../stage.ts'

/** Who may sign in. Kept when the stack goes: without the pool every user would need a new password. */
export class IdentityStack extends Stack implements Identity {
  readonly userPool: UserPool
  readonly userPoolClient: UserPoolClient

  constructor(scope: Construct, id: string, { stage, ...props }: StackProps & { stage: Stage }) {
    super(scope, id, { ...props, terminationProtection: stage.protectData })
    this.userPool = userPool(this, stage)
    this.userPoolClient = client(this, this.userPool, stage)
    hostedSignIn(this, this.userPool, stage)
    new CfnOutput(this, 'UserPoolId', { value: this.userPoolId, description: 'Users of the platform' })
    new CfnOutput(this, 'UserPoolClientId', { value: this.userPoolClientId, description: 'Audience of the tokens' })
  }

  get userPoolId(): string {
    return this.userPool.userPoolId
  }

  get userPoolClientId(): string {
    return this.userPoolClient.userPoolClientId
  }

  get userPoolArn(): string {
    return this.userPool.userPoolArn
  }
}

/**
 * Users are made by the platform alone and known to the pool by their id; the name they type is an alias. The password rule is the
 * platform's own: ten characters, no classes of characters (NIST SP 800-63B §5.1.1.2). Longer and other passwords than the pool can hold
 * are handed over as a digest.
 */
const userPool = (scope: Construct, stage: Stage): UserPool =>
  new UserPool(scope, 'users', {
    userPoolName: `aideploy-${stage.name}`,
    selfSignUpEnabled: false,
    signInAliases: { username: true, preferredUsername: true },
    signInCaseSensitive: false,
    // The cheapest plan: second factors and the sign-in page are part of it, what dearer ones add is priced per user.
    featurePlan: FeaturePlan.LITE,
    mfa: Mfa.OPTIONAL,
    mfaSecondFactor: { sms: false, otp: true },
    accountRecovery: AccountRecovery.NONE,
    passwordPolicy: {
      minLength: 10,
      requireDigits: false,
      requireLowercase: false,
      requireUppercase: false,
      requireSymbols: false,
    },
    customAttributes: {
      user_id: new StringAttribute({ minLen: 1, maxLen: 64, mutable: false }),
      organization_id: new StringAttribute({ minLen: 1, maxLen: 64, mutable: false }),
      epoch: new StringAttribute({ minLen: 1, maxLen: 64, mutable: true }),
    },
    deletionProtection: stage.protectData,
    removalPolicy: RemovalPolicy.RETAIN,
  })

/**
 * No secret, because browsers and command lines cannot keep one. Passwords are proven through the platform's own sign-in (the
 * administrators' flow, which wants IAM), so that nobody can guess them past its slow-down; SRP only where the stage has a sign-in page
 * and with it applications of its own. Users can change nothing about themselves here that the platform relies on.
 */
const client = (scope: Construct, pool: UserPool, { hostedSignIn: page }: Stage): UserPoolClient =>
  new UserPoolClient(scope, 'client', {
    userPool: pool,
    userPoolClientName: 'platform',
    generateSecret: false,
    authFlows: { adminUserPassword: true, ...(page && { userSrp: true }) },
    preventUserExistenceErrors: true,
    enableTokenRevocation: true,
    idTokenValidity: Duration.hours(1),
    accessTokenValidity: Duration.hours(1),
    refreshTokenValidity: Duration.days(1),
    readAttributes: new ClientAttributes()
      .withStandardAttributes({ preferredUsername: true })
      .withCustomAttributes('user_id', 'organization_id', 'epoch'),
    // An empty list would mean every attribute; the locale is one that nothing depends on.
    writeAttributes: new ClientAttributes().withStandardAttributes({ locale: true }),
    disableOAuth: page === undefined,
    ...(page && {
      oAuth: {
        flows: { authorizationCodeGrant: true },
        scopes: [OAuthScope.OPENID, OAuthScope.PROFILE],
        callbackUrls: [...page.callbackUrls],
        ...(page.logoutUrls.length > 0 && { logoutUrls: [...page.logoutUrls] }),
      },
    }),
  })

/** Cognito's own sign-in page. A client without a secret can redeem its code only with PKCE. */
const hostedSignIn = (scope: Construct, pool: UserPool, { hostedSignIn: page }: Stage): void => {
  if (page === undefined) return
  const domain = pool.addDomain('sign-in', { cognitoDomain: { domainPrefix: page.prefix } })
  new CfnOutput(scope, 'SignInUrl', { value: domain.baseUrl(), description: 'The hosted sign-in page' })
}
