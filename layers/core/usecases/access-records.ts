import { hash } from 'node:crypto'
import type { AccessKey, AccessUser } from '../domain/access.ts'
import { type ApiKey, canonicalUsername, type User } from '../domain/user.ts'
import type { Key, Operation } from '../ports/records.ts'

/**
 * The access partition, `access#<organization_id>`: all that a function which serves one model may read of its organisation.
 * Keys by the SHA-256 of their text, users by id and, for tokens of other issuers, by the SHA-256 of their canonical name.
 */
export const accessPartition = (organization_id: string): string => `access#${organization_id}`

export const accessKeyKey = (organization_id: string, sha256: string): Key => ({
  pk: accessPartition(organization_id),
  sk: `key#${sha256}`,
})
export const accessUserKey = (organization_id: string, user_id: string): Key => ({
  pk: accessPartition(organization_id),
  sk: `user#${user_id}`,
})
export const accessNameKey = (organization_id: string, username: string): Key => ({
  pk: accessPartition(organization_id),
  sk: `name#${hash('sha256', canonicalUsername(username), 'hex')}`,
})

/** The key's document there; put whole, because it only repeats. */
export const putAccessKey = (key: ApiKey): Operation => {
  const body: AccessKey = { key_id: key.id, name: key.name, role: key.role, ...(key.policy && { policy: { ...key.policy } }) }
  return { put: { ...accessKeyKey(key.organization_id, key.sha256), body }, expect: 'any' }
}

export const removeAccessKey = ({ organization_id, sha256 }: Pick<ApiKey, 'organization_id' | 'sha256'>): Operation => ({
  remove: accessKeyKey(organization_id, sha256),
  expect: 'any',
})

/** The user's two documents there. */
export const putAccessUser = (user: User): Operation[] => {
  const body: AccessUser = { name: user.username, role: user.role, epoch: user.token_epoch ?? null }
  return [
    { put: { ...accessUserKey(user.organization_id, user.id), body }, expect: 'any' },
    { put: { ...accessNameKey(user.organization_id, user.username), body: { user_id: user.id } }, expect: 'any' },
  ]
}

export const removeAccessUser = (user: Pick<User, 'organization_id' | 'id' | 'username'>): Operation[] => [
  { remove: accessUserKey(user.organization_id, user.id), expect: 'any' },
  { remove: accessNameKey(user.organization_id, user.username), expect: 'any' },
]
