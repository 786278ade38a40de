import type * as z from 'zod'
import { notFound, PlatformError } from '../contract/errors.ts'
import { ApiKey, canonicalUsername, Organization, User } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import type { Key, Operation } from '../ports/records.ts'
import { everyStored } from './every-stored.ts'
import { organizationKey, organizationPartition } from './record-keys.ts'

/** Where organisations, users, their names and API keys lie, and how they are read and written. */
type Reads = Pick<App, 'records'>

export const organizationDocument = (organization_id: string): Key =>
  organizationKey(organization_id, 'organization', organization_id)
export const userKey = (organization_id: string, user_id: string): Key => organizationKey(organization_id, 'user', user_id)
export const apiKeyKey = (organization_id: string, key_id: string): Key => organizationKey(organization_id, 'api-key', key_id)
/** User names and key digests are unique over the platform: one document each, written in the same transaction. */
export const usernameKey = (username: string): Key => ({ pk: `username#${canonicalUsername(username)}`, sk: 'username' })
export const apiKeyPointerKey = (sha256: string): Key => ({ pk: `api-key#${sha256}`, sk: 'pointer' })

/** All organisations, for operators. */
export const organizationsIndex = 'organizations'

export interface Found<Body> {
  body: Body
  version: string
}

const find = async <Schema extends z.ZodType>(
  app: Reads,
  key: Key,
  schema: Schema,
): Promise<Found<z.output<Schema>> | undefined> => {
  const stored = await app.records.get(key)
  return stored && { body: schema.parse(stored.body), version: stored.version }
}

const found = <Body>(noun: string, id: string, document: Found<Body> | undefined): Found<Body> => {
  if (!document) throw notFound(noun, id)
  return document
}

export const findUser = (app: Reads, organization_id: string, user_id: string) =>
  find(app, userKey(organization_id, user_id), User)
export const findApiKey = (app: Reads, organization_id: string, key_id: string) =>
  find(app, apiKeyKey(organization_id, key_id), ApiKey)

export const findOrganization = (app: Reads, organization_id: string) =>
  find(app, organizationDocument(organization_id), Organization)

/** Fail with `not_found`, the same for an unknown id and for another organisation's. */
export const getUser = async (app: Reads, organization_id: string, user_id: string) =>
  found('User', user_id, await findUser(app, organization_id, user_id))
export const getApiKey = async (app: Reads, organization_id: string, key_id: string) =>
  found('API key', key_id, await findApiKey(app, organization_id, key_id))
export const getOrganization = async (app: Reads, organization_id: string) =>
  found('Organization', organization_id, await find(app, organizationDocument(organization_id), Organization))

export const putOrganization = (organization: Organization, expect: 'absent' | { version: string }): Operation => ({
  put: {
    ...organizationDocument(organization.id),
    body: organization,
    lookup: { pk: organizationsIndex, sk: `organization#${organization.id}` },
  },
  expect,
})

export const putUser = (user: User, expect: 'absent' | { version: string }): Operation => ({
  put: { ...userKey(user.organization_id, user.id), body: user },
  expect,
})

export const putApiKey = (key: ApiKey, expect: 'absent' | { version: string }): Operation => ({
  put: { ...apiKeyKey(key.organization_id, key.id), body: { ...key, policy: key.policy && { ...key.policy } } },
  expect,
})

/** The organisation with one admin more or less. Fails with `conflict` where none would be left. */
export const countAdmins = ({ body, version }: Found<Organization>, change: 1 | -1): Operation => {
  if (body.admins + change < 1)
    throw new PlatformError('conflict', 'This is the last admin of the organization; make another user admin first')
  return putOrganization({ ...body, admins: body.admins + change }, { version })
}

/** Every document of one kind in an organisation, oldest first. */
export const documentsOf = async <Schema extends z.ZodType>(
  app: Reads,
  organization_id: string,
  kind: string,
  schema: Schema,
): Promise<z.output<Schema>[]> => {
  const bodies: z.output<Schema>[] = []
  for await (const stored of everyStored(app.records, {
    pk: organizationPartition(organization_id),
    from: `${kind}#`,
    to: `${kind}$`,
  }))
    bodies.push(schema.parse(stored.body))
  return bodies
}
