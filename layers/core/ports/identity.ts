/** Proves who somebody is and issues tokens. Embedded: scrypt and ES256 with rotating keys. On AWS: Cognito. */
export interface Identity {
  /** Fails with `unauthenticated` (the same for an unknown name and a wrong password) or, when slowed down, `rate_limited` with `retry_after_s`. */
  signIn(credentials: { username: string; password: string; source_ip: string }): Promise<{ token: string; expires_at: string }>
  /** Fails with `unauthenticated` or `token_expired`. Sees a changed password or a forgotten user at once; callers may keep the answer for seconds. */
  verify(token: string): Promise<TokenClaims>
  /** Takes a new user in. The caller holds the user name: what another user of that name left behind is replaced. Answers the epoch of the password. */
  enrol(user: UserIdentity, password: string): Promise<{ epoch: string }>
  /** Replaces the password of an enrolled user; tokens issued before stop working. Answers the new epoch. Fails with `not_found` when it is not enrolled. */
  setPassword(user: UserIdentity, password: string): Promise<{ epoch: string }>
  /** Slowed down like `signIn`. */
  checkPassword(username: string, password: string): Promise<boolean>
  /** The user cannot sign in any more and its tokens stop working. */
  forget(user: Pick<UserIdentity, 'user_id' | 'username'>): Promise<void>
  /** RFC 7517. */
  publicKeys(): Promise<{ keys: Record<string, unknown>[] }>
  rotateKeys(): Promise<void>
}

/** Who a user is. What the user may do is the user document's matter, so that a changed role needs no new token. */
export interface UserIdentity {
  user_id: string
  username: string
  organization_id: string
}

export interface TokenClaims extends UserIdentity {
  /** ISO 8601. */
  expires_at: string
  /** Changes with every password; tokens of an older one are refused. Absent where another issuer made the token. */
  epoch?: string
}
