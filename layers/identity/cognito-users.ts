import { createHash } from 'node:crypto'
import {
  AdminCreateUserCommand,
  AdminDeleteUserCommand,
  AdminInitiateAuthCommand,
  AdminSetUserPasswordCommand,
  AdminUpdateUserAttributesCommand,
  type CognitoIdentityProviderClient,
} from '@aws-sdk/client-cognito-identity-provider'
import { awsCode, awsFailure } from '../aws/failure.ts'
import { notFound, PlatformError } from '../core/contract/errors.ts'
import type { UserIdentity } from '../core/ports/identity.ts'

/** What Cognito said to a name and a password. */
export type Attempt = { outcome: 'wrong' } | { outcome: 'proven'; token: string } | { outcome: 'second_factor' }

/** The calls the adapter makes, in the platform's words. Users are known to the pool by the platform's user id. */
export interface CognitoUsers {
  /** `undefined` stands for a name nobody has: it takes the same call, so that it takes as long. Fails with `rate_limited`. */
  attempt(user_id: string | undefined, password: string): Promise<Attempt>
  create(user: UserIdentity): Promise<void>
  /** Fails with `not_found`. */
  setPassword(user_id: string, password: string): Promise<void>
  /** What the user's next tokens say. Fails with `conflict` when another user of the pool has the name, `not_found`. */
  describe(user: UserIdentity, epoch: string): Promise<void>
  /** Removing who is absent is fine. */
  remove(user_id: string): Promise<void>
}

/** A colon cannot stand in a user name of the platform, so nobody's sign-in alias can be somebody's pool name. */
const poolName = (user_id: string): string => `user:${user_id}`
const nobody = 'user:nobody'

export const cognitoUsers = (
  client: () => CognitoIdentityProviderClient,
  { user_pool_id: UserPoolId, client_id: ClientId }: { user_pool_id: string; client_id: string },
): CognitoUsers => ({
  attempt: async (user_id, password) => {
    const Username = user_id === undefined ? nobody : poolName(user_id)
    const AuthParameters = { USERNAME: Username, PASSWORD: heldPassword(password) }
    try {
      const AuthFlow = 'ADMIN_USER_PASSWORD_AUTH'
      const answer = await client().send(new AdminInitiateAuthCommand({ UserPoolId, ClientId, AuthFlow, AuthParameters }))
      const token = answer.AuthenticationResult?.IdToken
      if (token !== undefined) return { outcome: 'proven', token }
      return { outcome: answer.ChallengeName === 'NEW_PASSWORD_REQUIRED' ? 'wrong' : 'second_factor' }
    } catch (error) {
      return refusedAttempt(error)
    }
  },
  create: async (user) => {
    const UserAttributes = [
      { Name: 'custom:user_id', Value: user.user_id },
      { Name: 'custom:organization_id', Value: user.organization_id },
    ]
    const Username = poolName(user.user_id)
    await send('Making a user', () =>
      client().send(new AdminCreateUserCommand({ UserPoolId, Username, UserAttributes, MessageAction: 'SUPPRESS' })),
    )
  },
  setPassword: async (user_id, password) => {
    const about = { UserPoolId, Username: poolName(user_id), Password: heldPassword(password), Permanent: true }
    await send('Setting a password', () => client().send(new AdminSetUserPasswordCommand(about)), user_id)
  },
  describe: async ({ user_id, username }, epoch) => {
    const UserAttributes = [
      { Name: 'preferred_username', Value: username },
      { Name: 'custom:epoch', Value: epoch },
    ]
    const about = { UserPoolId, Username: poolName(user_id), UserAttributes }
    await send('Describing a user', () => client().send(new AdminUpdateUserAttributesCommand(about)), user_id)
  },
  remove: async (user_id) => {
    try {
      await client().send(new AdminDeleteUserCommand({ UserPoolId, Username: poolName(user_id) }))
    } catch (error) {
      if (awsCode(error) !== 'UserNotFoundException') throw failed('Removing a user', error)
    }
  },
})

/**
 * The password as the pool holds it. Cognito takes 6 to 256 characters without blanks at the ends; what does not fit its rule (or may
 * be typed in several Unicode forms) is held as its SHA-256, so that every password of the platform's rule works; only the hosted sign-in
 * page, which knows nothing of this, does not take those.
 */
export const heldPassword = (password: string): string =>
  /^[\x21-\x7e][\x20-\x7e]{4,254}[\x21-\x7e]$/.test(password)
    ? password
    : createHash('sha256').update(password.normalize('NFKC')).digest('base64url')

/** Cognito's own lock after five failures grows from a second to a quarter of an hour and does not say how long it lasts. */
const lock_s = 30

const refusedAttempt = (error: unknown): Attempt => {
  const code = awsCode(error)
  if (code === 'NotAuthorizedException' && error instanceof Error && /attempts exceeded/i.test(error.message))
    throw new PlatformError('rate_limited', 'Too many failed sign-ins; wait before the next one', {
      retry_after_s: lock_s,
      cause: error,
    })
  // A user whom an administrator marked for a reset in the console is refused like a wrong password: a reason would tell who exists.
  if (/^(NotAuthorized|UserNotFound|UserNotConfirmed|PasswordResetRequired)Exception$/.test(code)) return { outcome: 'wrong' }
  throw failed('Signing in', error)
}

const send = async (doing: string, call: () => Promise<unknown>, user_id?: string): Promise<void> => {
  try {
    await call()
  } catch (error) {
    if (user_id !== undefined && awsCode(error) === 'UserNotFoundException') throw notFound('User', user_id)
    throw failed(doing, error)
  }
}

const busy = ['rate_limited', 'The user pool is busy; wait before the next try', { retry_after_s: 5 }] as const

const failed = (doing: string, error: unknown): PlatformError =>
  awsFailure(error, doing, {
    TooManyRequestsException: busy,
    LimitExceededException: busy,
    UsernameExistsException: ['conflict', 'The user is in the user pool already'],
    AliasExistsException: ['conflict', 'Another user of the user pool has this user name'],
    InvalidPasswordException: ['invalid_request', 'The user pool refuses this password; choose a longer one'],
  })
