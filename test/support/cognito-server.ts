import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { exportJWK, SignJWT } from 'jose'
import * as z from 'zod'
import type { CognitoPool } from '../../layers/identity/cognito-tokens.ts'
import { type AwsJsonServer, ServiceError, startAwsJsonServer } from './aws-json-server.ts'
import { type JsonSite, startJsonSite } from './json-site.ts'

/**
 * One user pool with the rules of the real one that the emulators leave out: aliases, what a password may be, immutable attributes, the
 * lock after five failures, second factors. Keeps real state and misbehaves on order.
 */
export interface CognitoServer extends AwsJsonServer {
  pool: CognitoPool & { jwks_uri: string }
  users: Map<string, PoolUser>
  /** Where the pool's keys lie, at `/jwks.json`. */
  site: JsonSite
  /** From now on tokens are signed by a new key, and only that one is shown. */
  rotate(): void
  /** The next call of an operation is refused with this. */
  refuse(operation: string, error: ServiceError): void
  /** A token of the user that is no ID token. */
  accessToken(name: string): Promise<string>
}

export interface PoolUser {
  username: string
  attributes: Record<string, string>
  password?: string
  status: 'FORCE_CHANGE_PASSWORD' | 'CONFIRMED' | 'RESET_REQUIRED'
  second_factor?: boolean
  failures: number
  locked_until_ms: number
}

const user_pool_id = 'us-east-1_TestPool1'
const client_id = '1h57kf5cpq17m0eml12EXAMPLE'
const issuer = `https://cognito-idp.us-east-1.amazonaws.com/${user_pool_id}`
const immutable = ['custom:user_id', 'custom:organization_id']

const Username = z.string().regex(/^[\p{L}\p{M}\p{S}\p{N}\p{P}]{1,128}$/u)
const Attributes = z.array(z.object({ Name: z.string().max(32), Value: z.string().max(2048) }))
const about = { UserPoolId: z.literal(user_pool_id), Username }
const operations = {
  AdminCreateUser: z.strictObject({ ...about, UserAttributes: Attributes, MessageAction: z.literal('SUPPRESS') }),
  AdminSetUserPassword: z.strictObject({ ...about, Password: z.string(), Permanent: z.literal(true) }),
  AdminUpdateUserAttributes: z.strictObject({ ...about, UserAttributes: Attributes }),
  AdminDeleteUser: z.strictObject(about),
  AdminInitiateAuth: z.strictObject({
    UserPoolId: z.literal(user_pool_id),
    ClientId: z.literal(client_id),
    AuthFlow: z.literal('ADMIN_USER_PASSWORD_AUTH'),
    AuthParameters: z.strictObject({ USERNAME: Username, PASSWORD: z.string().max(256) }),
  }),
}

/** The pool's behaviour over its users; `now` is the clock of its tokens and locks. */
const poolOf = (now: () => Date) => {
  const users = new Map<string, PoolUser>()
  let key = newKey()
  const find = (name: string): PoolUser => {
    const found = users.get(name.toLowerCase())
    if (!found) throw new ServiceError('UserNotFoundException', 'User does not exist.')
    return found
  }
  const describe = (user: PoolUser, given: z.infer<typeof Attributes>) => {
    for (const { Name, Value } of given) {
      if (Name === 'preferred_username') aliasFor(user, Value, users)
      if (immutable.includes(Name) && user.attributes[Name] !== undefined)
        throw new ServiceError('InvalidParameterException', `user.${Name}: Attribute cannot be updated.`)
      user.attributes[Name] = Value
    }
  }
  const perform = {
    AdminCreateUser: async (raw: object) => {
      const { Username: name, UserAttributes } = operations.AdminCreateUser.parse(raw)
      if (users.has(name.toLowerCase())) throw new ServiceError('UsernameExistsException', 'User account already exists')
      const user: PoolUser = { username: name, attributes: {}, status: 'FORCE_CHANGE_PASSWORD', failures: 0, locked_until_ms: 0 }
      describe(user, UserAttributes)
      users.set(name.toLowerCase(), user)
      return { User: { Username: name } }
    },
    AdminSetUserPassword: async (raw: object) => {
      const { Username: name, Password } = operations.AdminSetUserPassword.parse(raw)
      const user = find(name)
      if (!/^\S+.*\S+$/.test(Password) || Password.length > 256 || Password.length < 10)
        throw new ServiceError('InvalidPasswordException', 'Password does not conform to policy')
      Object.assign(user, { password: Password, status: 'CONFIRMED', failures: 0 })
      return {}
    },
    AdminUpdateUserAttributes: async (raw: object) => {
      const { Username: name, UserAttributes } = operations.AdminUpdateUserAttributes.parse(raw)
      describe(find(name), UserAttributes)
      return {}
    },
    AdminDeleteUser: async (raw: object) => {
      users.delete(find(operations.AdminDeleteUser.parse(raw).Username).username.toLowerCase())
      return {}
    },
    AdminInitiateAuth: async (raw: object) => {
      const { USERNAME, PASSWORD } = operations.AdminInitiateAuth.parse(raw).AuthParameters
      const user = users.get(USERNAME.toLowerCase())
      if (!user) throw wrong()
      prove(user, PASSWORD, now().getTime())
      if (user.second_factor) return { ChallengeName: 'SOFTWARE_TOKEN_MFA', Session: randomUUID(), ChallengeParameters: {} }
      const tokens = { IdToken: await sign(user, 'id'), AccessToken: await sign(user, 'access') }
      return { AuthenticationResult: { ...tokens, ExpiresIn: 3600, TokenType: 'Bearer' } }
    },
  }
  const sign = (user: PoolUser, token_use: 'id' | 'access') => {
    const iat = Math.floor(now().getTime() / 1000)
    const own = token_use === 'id' ? { aud: client_id, 'cognito:username': user.username, ...user.attributes } : { client_id }
    return new SignJWT({ ...own, token_use, auth_time: iat, jti: randomUUID() })
      .setProtectedHeader({ alg: 'RS256', kid: key.kid })
      .setIssuer(issuer)
      .setSubject(user.username)
      .setIssuedAt(iat)
      .setExpirationTime(iat + 3600)
      .sign(key.privateKey)
  }
  const keys = async () => ({ keys: [{ ...(await exportJWK(key.publicKey)), kid: key.kid, alg: 'RS256', use: 'sig' }] })
  const rotate = () => {
    key = newKey()
  }
  return { users, perform, keys, rotate, accessToken: (name: string) => sign(find(name), 'access') }
}

const newKey = () => ({ kid: randomUUID(), ...generateKeyPairSync('rsa', { modulusLength: 2048 }) })
const wrong = () => new ServiceError('NotAuthorizedException', 'Incorrect username or password.')

const aliasFor = (user: PoolUser, alias: string, users: ReadonlyMap<string, PoolUser>): void => {
  if (user.status !== 'CONFIRMED')
    throw new ServiceError('InvalidParameterException', 'Preferred username cannot be provided for unconfirmed account.')
  const taken = [...users.values()].some(
    (other) => other !== user && (other.attributes.preferred_username ?? '').toLowerCase() === alias.toLowerCase(),
  )
  if (taken || users.has(alias.toLowerCase()))
    throw new ServiceError('AliasExistsException', 'An account with this alias exists.')
}

/** Five failures cost nothing, then the wait doubles from a second to fifteen minutes. */
const prove = (user: PoolUser, password: string, now_ms: number): void => {
  if (user.locked_until_ms > now_ms) throw new ServiceError('NotAuthorizedException', 'Password attempts exceeded')
  if (user.status === 'RESET_REQUIRED')
    throw new ServiceError('PasswordResetRequiredException', 'Password reset required for the user')
  if (user.password !== password) {
    user.failures += 1
    if (user.failures >= 5) user.locked_until_ms = now_ms + Math.min(2 ** (user.failures - 5), 900) * 1000
    throw wrong()
  }
  user.failures = 0
}

export const startCognito = async (now: () => Date): Promise<CognitoServer> => {
  const { perform, keys, ...pool } = poolOf(now)
  const refusals = new Map<string, ServiceError>()
  const heeding = Object.entries(perform).map(([operation, run]) => [
    operation,
    (input: object) => {
      const refusal = refusals.get(operation)
      refusals.delete(operation)
      if (refusal) throw refusal
      return run(input)
    },
  ])
  const [server, site] = await Promise.all([
    startAwsJsonServer(Object.fromEntries(heeding)),
    startJsonSite({ '/jwks.json': keys }),
  ])
  const stop = async () => {
    await Promise.all([server.stop(), site.stop()])
  }
  const settings = { user_pool_id, client_id, region: 'us-east-1', jwks_uri: `${site.url}/jwks.json` }
  return { ...server, ...pool, site, stop, pool: settings, refuse: (operation, error) => void refusals.set(operation, error) }
}
